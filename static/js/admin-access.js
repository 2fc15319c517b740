// What unfold leaves to the mouse and to the eye: icons whose names are read aloud, a button that is a link
// without an address, heads of columns that begin small once each row is a card.
const icons = ".material-symbols-outlined:not([aria-hidden])";

function open(event) {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  event.currentTarget.click();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const icon of document.querySelectorAll(icons)) icon.setAttribute("aria-hidden", "true");
  for (const link of document.querySelectorAll("#changelist a:not([href])")) {
    link.setAttribute("role", "button");
    link.tabIndex = 0;
    link.addEventListener("keydown", open);
  }
  for (const { dataset } of document.querySelectorAll("td[data-label], th[data-label]")) {
    dataset.label = dataset.label.charAt(0).toLocaleUpperCase() + dataset.label.slice(1);
  }
});
