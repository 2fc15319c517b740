/* Large files of a question: each goes up in parts as soon as it is chosen (parts.js), and its chip says how far it
   is. The question names them by the ids that the server gave; they wait there for a day. */
import { sayBytes } from "./choosing.js";
import { showNotice } from "./notices.js";
import { announce } from "./page.js";
import { Sending, forget } from "./parts.js";

export const large = []; // {file, sending, chip, id: "" until it is there}

/** Begin with a file; `chip` is its own, `changed()` is called when it came in or is out again. */
export function bring(file, chip, field, changed) {
  const { dataset, form } = field;
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const place = { url: dataset.uploadsUrl, token, collection: "", path: file.name };
  const said = chip.querySelector(".document-chip-state");
  const id = document.createElement("input");
  Object.assign(id, { type: "hidden", name: "sent", disabled: true });
  chip.append(id);
  chip.querySelector("select").name = "sent_uses";
  said.hidden = false;
  const tell = ({ sent, isWaiting }) => {
    const far = dataset.sent.replace("{sent}", sayBytes(sent)).replace("{size}", sayBytes(file.size));
    said.textContent = isWaiting ? `${far} · ${dataset.waiting}` : far;
    if (isWaiting) announce(`${file.name}: ${dataset.waiting}`);
  };
  const entry = { file, chip, id: "", sending: new Sending(file, place, tell) };
  large.push(entry);
  tell({ sent: 0, isWaiting: false });
  entry.sending
    .run()
    .then((answer) => {
      if (!answer) return;
      entry.id = answer.file;
      Object.assign(id, { value: answer.file, disabled: false });
      said.hidden = true;
      announce(file.name);
    })
    .catch((error) => {
      const text = error.status ? dataset.refused : dataset.lost;
      showNotice(text.replace("{name}", file.name).replace("{reason}", error.message));
      drop(entry);
      changed();
    });
}

/** Take a file out again, wherever it is. */
export function takeOutLarge(entry) {
  entry.sending.cancel();
  drop(entry);
}

function drop(entry) {
  large.splice(large.indexOf(entry), 1);
}

/** Their question is asked. */
export function letGo() {
  for (const entry of large.splice(0)) forget(entry.sending.key);
}

/** Whether a question may go, which it may not before its files; says why not. */
export function isComplete(field) {
  if (large.every((entry) => entry.id)) return true;
  showNotice(field.dataset.stillSending);
  return false;
}
