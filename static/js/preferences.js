/* Language and appearance in the person's menu act at once (without scripts the forms lead to the profile
   page). */
import { showNotice } from "./notices.js";
import { on, words } from "./page.js";

on("submit", "form[data-preferences]", async (event, form) => {
  event.preventDefault();
  const choice = event.submitter;
  if (!choice?.name) return;
  const data = new FormData(form, choice);
  try {
    // The answer is the profile page; reading it also takes its "saved" message, which nobody asked for here.
    const response = await fetch(form.action, {
      method: "POST",
      body: data,
      headers: { "X-Requested-With": "fetch" },
    });
    if (!response.ok) throw new Error(String(response.status));
  } catch {
    showNotice(words("noReply"));
    return;
  }
  if (choice.name === "language") {
    window.location.reload();
    return;
  }
  document.documentElement.dataset.theme = choice.value;
  for (const button of form.querySelectorAll('button[name="theme"]'))
    button.setAttribute("aria-pressed", String(button === choice));
  for (const field of document.querySelectorAll('form[data-preferences] input[name="theme"]'))
    field.value = choice.value;
});
