// The form of a right of use: who may use the model once it is saved, told while it is filled in.
const output = document.querySelector("output.reach");
const form = output?.closest("form");
let latest = 0;

async function tell() {
  const url = new URL(output.dataset.url, location.href);
  for (const name of ["target", "effect", "holder", "role", "project", "user"]) {
    if (form.elements[name]) url.searchParams.set(name, form.elements[name].value);
  }
  const turn = ++latest;
  const answer = await fetch(url);
  const text = answer.ok ? await answer.text() : "";
  if (turn === latest) output.textContent = text;
}

if (form) {
  form.addEventListener("change", tell);
  // the choice of a person is jQuery's, whose events are no others' to hear
  window.django?.jQuery?.(form).on("select2:select select2:clear", tell);
  tell();
}
