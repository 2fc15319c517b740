// The administrations follow the appearance in the person's profile: unfold would go on with what this
// browser last used.
const wanted = document.documentElement.className.match(/\b(light|dark|auto)\b/);
if (wanted) {
  localStorage.setItem("adminTheme", JSON.stringify(wanted[0]));
}
