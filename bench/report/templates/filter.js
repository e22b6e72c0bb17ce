// Filters: everything that belongs to another suite, task, method or metric is hidden. They are kept in the address.
const filters = document.getElementById("filters");
const chosen = ["suite", "task", "metric"].map((id) => filters?.elements.namedItem(id)).filter(Boolean);
const boxes = [...(filters?.querySelectorAll("input[type=checkbox]") ?? [])];
const hidden = new Set(); // methods that are not shown

function apply() {
  if (!filters) return;
  const [suite, task, metric] = chosen.map((select) => select.value);
  const off = hidden;
  hidden.clear();
  for (const box of boxes) if (!box.checked) hidden.add(box.value);
  for (const part of document.querySelectorAll("[data-suite], [data-task], [data-method]")) {
    const d = part.dataset;
    part.hidden = Boolean((suite && d.suite && d.suite !== suite) || (task && d.task && d.task !== task) || off.has(d.method));
  }
  for (const part of document.querySelectorAll("[data-metric]")) {
    part.hidden = Boolean(metric && part.dataset.metric && part.dataset.metric !== metric);
  }
  for (const box of boxes) {
    for (const line of document.querySelectorAll(`svg .m${box.dataset.i}`)) line.classList.toggle("off", !box.checked);
  }
  document.getElementById("count").textContent = off.size ? `${boxes.length - off.size} of ${boxes.length}` : "";
  const state = new URLSearchParams(chosen.filter((s) => s.value).map((s) => [s.id, s.value]));
  if (off.size) state.set("without", JSON.stringify([...off]));
  history.replaceState(null, "", state.size ? `#${state}` : location.pathname + location.search);
}

function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const select of chosen) {
    const wanted = state.get(select.id);
    if ([...select.options].some((option) => option.value === wanted)) select.value = wanted;
  }
  try {
    const off = new Set(JSON.parse(state.get("without") ?? "[]"));
    for (const box of boxes) box.checked = !off.has(box.value);
  } catch {
    // an address that was cut off: all methods are shown
  }
  if (filters && state.size && (state.has("without") || chosen.some((select) => select.value))) apply();
}

function checkAll(on) {
  for (const box of boxes) box.checked = on;
  apply();
}

if (filters) {
  filters.addEventListener("change", apply);
  filters.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("everything").addEventListener("click", () => checkAll(true));
  document.getElementById("nothing").addEventListener("click", () => checkAll(false));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#methods")) document.getElementById("methods").open = false;
  });
}
