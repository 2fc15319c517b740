// What unfold leaves to the eye: regions that scroll, choices that one searches and fields in rows get their names,
// and heads of columns that begin small begin a line once each row is a card.
function nameFields() {
  for (const field of document.querySelectorAll("td[data-label] :is(select, input, textarea)")) {
    if (!field.labels?.length) field.setAttribute("aria-label", field.closest("td").dataset.label);
  }
  for (const select of document.querySelectorAll("select.select2-hidden-accessible")) {
    const name = select.labels?.[0]?.innerText.trim() || select.getAttribute("aria-label");
    const parts = ".select2-selection, .select2-selection__rendered[role], .select2-search__field";
    for (const part of name ? select.nextElementSibling.querySelectorAll(parts) : []) {
      part.setAttribute("aria-label", name);
    }
  }
}

function nameRegions() {
  for (const region of document.querySelectorAll(".simplebar-content-wrapper")) {
    const around = region.parentElement.closest("[aria-label], [aria-labelledby]");
    const heading = document.getElementById(around?.getAttribute("aria-labelledby"));
    const name = around?.ariaLabel ?? (heading ?? document.querySelector("h1")).innerText;
    region.setAttribute("role", "group");
    region.setAttribute("aria-label", name.trim().replace(/\s+/g, " "));
  }
}

document.addEventListener("DOMContentLoaded", () => {
  for (const { dataset } of document.querySelectorAll("td[data-label], th[data-label]")) {
    dataset.label = dataset.label.charAt(0).toLocaleUpperCase() + dataset.label.slice(1);
  }
  nameFields();
  /* select2 draws its parts when it is ready, rows are added when somebody wants them */
  new MutationObserver(nameFields).observe(document.body, { childList: true, subtree: true });
});
window.addEventListener("load", nameRegions);

// After a save that failed: to the first field in error, or to what is said of all of them.
window.addEventListener("load", () => {
  const faulty = document.querySelector('#content [aria-invalid="true"]:not([type="hidden"])');
  const fold = faulty?.closest("details");
  if (fold) fold.open = true;
  const seen = faulty?.matches(".select2-hidden-accessible")
    ? faulty.nextElementSibling.querySelector(".select2-selection")
    : faulty;
  seen?.focus();
  const note = document.querySelector("#content .errornote");
  if (!note || (seen && document.activeElement === seen)) return;
  note.tabIndex = -1;
  note.focus();
});
