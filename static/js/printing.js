/* A printed conversation begins with its title, which on the screen stands in the bar. */
const title = document.querySelector("[data-print-title]");

window.addEventListener("beforeprint", () => {
  const heading = document.querySelector("#chat-header h1");
  if (title && heading) title.textContent = heading.textContent;
});
