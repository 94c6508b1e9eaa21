"use strict";
for (const button of document.querySelectorAll(".copy button")) {
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("pre").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // a page opened from a file has no clipboard in some browsers: select, so that Ctrl-C does it
      getSelection().selectAllChildren(button.parentElement.querySelector("pre"));
      if (!document.execCommand("copy")) return;
    }
    const said = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = said; }, 1500);
  });
}
const search = document.querySelector("input[type=search]");
if (search) {
  search.addEventListener("input", () => {
    const words = search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const section of document.querySelectorAll("section[data-stream]")) {
      let here = 0;
      for (const row of section.querySelectorAll("tbody tr")) {
        const hit = words.every((word) => row.dataset.words.includes(word));
        row.hidden = !hit;
        here += hit;
      }
      section.hidden = !here;
      found += here;
    }
    document.querySelector("#none").hidden = found > 0;
  });
}
