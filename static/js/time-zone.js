/* Tells the log-in form where its reader is, for those who have not chosen a time zone:
   [data-browser-time-zone]. */
for (const field of document.querySelectorAll("[data-browser-time-zone]")) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
}
