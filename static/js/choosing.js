/* Controls for choosing: files in a drop zone are listed, several of many are told in one line, and filters act
   at once. All of them work without this. */
import { on } from "./page.js";

const UNITS = ["KB", "MB", "GB"]; // of 1,024, as the server says sizes

export function sayBytes(bytes) {
  const language = document.documentElement.lang;
  if (bytes < 1024) return bytes.toLocaleString(language, { style: "unit", unit: "byte", unitDisplay: "long" });
  let size = bytes / 1024;
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size.toLocaleString(language, { maximumFractionDigits: 1 })} ${UNITS[unit]}`;
}

// -- a drop zone: the browser's own field takes the files
on("change", "[data-drop-zone] input[type=file]", (event, field) => {
  const zone = field.closest("[data-drop-zone]");
  const template = zone.querySelector("[data-file-template]");
  zone.querySelector("[data-files]").replaceChildren(
    ...[...field.files].map((file) => {
      const line = template.content.firstElementChild.cloneNode(true);
      line.querySelector(".file-name").textContent = file.name;
      line.querySelector(".figure").textContent = sayBytes(file.size);
      return line;
    }),
  );
});

for (const [type, isOver] of [
  ["dragenter", true],
  ["dragover", true],
  ["dragleave", false],
  ["drop", false],
]) {
  on(type, ".drop-zone", (event, zone) => zone.classList.toggle("is-over", isOver));
}

// -- several of many
on("change", "[data-multiselect]", (event, select) => {
  select.querySelector("[data-chosen]").replaceChildren(
    ...[...select.querySelectorAll(".choice:has(input:checked) > span")].flatMap((label) => [
      label.cloneNode(true),
      " ",
    ]),
  );
});

on("keydown", "[data-multiselect][open]", (event, select) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  event.preventDefault();
  select.open = false;
  select.querySelector("summary").focus();
});

for (const type of ["click", "focusin"]) {
  document.addEventListener(type, ({ target }) => {
    for (const select of document.querySelectorAll("[data-multiselect][open]"))
      if (target instanceof Node && !select.contains(target)) select.open = false;
  });
}

// -- a filter bar
on("change", "[data-filter-bar] select", (event, field) => field.form.requestSubmit());

// what asks for nothing does not stand in the address
document.addEventListener("formdata", ({ target, formData }) => {
  if (!target.matches("[data-filter-bar]")) return;
  for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
});
