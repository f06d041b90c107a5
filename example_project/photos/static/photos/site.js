/* What makes the pages quicker; every one of them works without it. */

"use strict";

/* Like without loading the page anew. */
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-like]");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector("button");
  const body = new FormData(form, button);
  button.disabled = true;
  try {
    const response = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body,
    });
    if (!response.ok || response.redirected) throw new Error(response.statusText);
    show(button, await response.json());
  } catch {
    form.removeAttribute("data-like");
    button.disabled = false;
    form.requestSubmit(button);
    return;
  }
  button.disabled = false;
});

function show(button, { liked, likes }) {
  button.value = liked ? "0" : "1";
  button.setAttribute("aria-pressed", String(liked));
  button.classList.toggle("is-liked", liked);
  button.classList.toggle("is-fresh", liked);
  button.querySelector("[data-count]").textContent = likes;
}

/* Show the photo that has been chosen, or dropped. */
for (const form of document.querySelectorAll("[data-upload]")) {
  const input = form.querySelector("input[type=file]");
  const preview = form.querySelector("[data-preview]");
  const area = input.closest("label");
  input.addEventListener("change", () => {
    URL.revokeObjectURL(preview.src);
    const [file] = input.files;
    preview.hidden = !file;
    if (file) preview.src = URL.createObjectURL(file);
    area.parentElement.classList.remove("field--wrong");
    area.parentElement.querySelector(".field__error")?.remove();
  });
  preview.addEventListener("error", () => {
    preview.hidden = true;
  });
  area.addEventListener("dragover", (event) => event.preventDefault());
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
  });
}

/* Put the thumbnail in place once a worker has made it. */
async function develop(placeholder, wait) {
  if (wait > 30_000) return;
  await new Promise((resolve) => setTimeout(resolve, wait));
  const response = await fetch(placeholder.dataset.thumbnail).catch(() => null);
  const url = response?.ok ? (await response.json()).url : null;
  if (!url) return develop(placeholder, wait * 1.6);
  const image = new Image(640, 640);
  image.alt = placeholder.dataset.alt;
  image.src = url;
  await image.decode().catch(() => {});
  placeholder.replaceWith(image);
}

for (const placeholder of document.querySelectorAll("[data-thumbnail]")) develop(placeholder, 800);
