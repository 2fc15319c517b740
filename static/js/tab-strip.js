/* Where the links to the parts of a thing scroll sideways, the one that is open is in sight. */
const current = document.querySelector(".tabs [aria-current]");
if (current) {
  const strip = current.closest(".tabs");
  const hidden = current.getBoundingClientRect().right - strip.getBoundingClientRect().right;
  if (hidden > 0) strip.scrollLeft += hidden;
}
