// Highlighting: a method that is pointed at, in a legend or in a table, stands out in every chart; a press keeps it so.
const pressed = new Set();

function pick(pointed = null) {
  const names = pointed === null ? pressed : new Set([...pressed, pointed]);
  for (const line of document.querySelectorAll("svg [data-method]")) line.classList.toggle("picked", names.has(line.dataset.method));
  document.body.classList.toggle("picking", names.size > 0);
  for (const button of document.querySelectorAll(".legend button")) button.setAttribute("aria-pressed", pressed.has(button.dataset.method));
}

const pointedAt = (event) => event.target.closest?.(".legend button, .bench tr[data-method]")?.dataset.method ?? null;
document.addEventListener("pointerover", (event) => event.pointerType === "mouse" && pick(pointedAt(event)));
document.addEventListener("click", (event) => {
  const button = event.target.closest(".legend button");
  if (!button) return;
  const name = button.dataset.method;
  if (!pressed.delete(name)) pressed.add(name);
  pick();
});

// A table that goes on beyond its right edge shows it.
const wide = [...document.querySelectorAll(".wide, .table-wrapper, .formula")];
const cut = (box) => box.classList.toggle("cut", box.scrollWidth - box.clientWidth - box.scrollLeft > 2);
const sizes = new ResizeObserver(() => wide.forEach(cut));
for (const box of wide) {
  sizes.observe(box);
  if (box.firstElementChild) sizes.observe(box.firstElementChild);
  box.tabIndex = 0; // so that the arrow keys scroll it
  box.addEventListener("scroll", () => cut(box), { passive: true });
}
