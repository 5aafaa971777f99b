"use strict";
const search = document.getElementById("q");
const shown = document.getElementById("shown");
const rows = [...document.querySelectorAll(".endpoints li")];
const sections = [...document.querySelectorAll("section:has(.endpoints)")];

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const found = words.every((word) => row.dataset.words.includes(word));
    row.hidden = !found;
    count += found;
  }
  for (const section of sections) section.hidden = !section.querySelector(".endpoints li:not([hidden])");
  document.getElementById("nothing").hidden = count > 0 || rows.length === 0;
  shown.textContent = words.length ? `${count} of ${rows.length}` : "";
}

search.addEventListener("input", filter);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && document.activeElement === search) {
    search.value = "";
    filter();
    search.blur();
  }
});
