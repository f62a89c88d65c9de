// Draws the diagrams of a page with Mermaid, which is loaded from the site itself.

const diagrams = [...document.querySelectorAll("pre.diagram")];
if (diagrams.length) {
  const { mermaid } = await import("../mermaid/index.js");
  for (const [index, diagram] of diagrams.entries()) {
    const source = diagram.textContent;
    const place = document.createElement("div");
    place.className = "diagram";
    diagram.replaceWith(place);
    await draw(index, source, place);
    // the toggle of the header changes the scheme of the page
    new MutationObserver(() => draw(index, source, place)).observe(document.body, {
      attributeFilter: ["data-md-color-scheme"],
    });
  }

  async function draw(index, source, place) {
    const isDark = document.body.dataset.mdColorScheme === "slate";
    mermaid.initialize({ startOnLoad: false, theme: isDark ? "dark" : "neutral" });
    const { svg } = await mermaid.render(`diagram-${index}`, source);
    place.innerHTML = svg;
  }
}
