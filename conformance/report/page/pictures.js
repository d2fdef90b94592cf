// The pictures: SVG files beside the page, which follow its theme.

function picturesView() {
  return {
    title: "Pictures",
    up: "#/",
    content: [
      trail(["Matrix", "#/"]),
      el("h1", {}, "Pictures"),
      report.pictures.length ? null : el("p", {}, "These results hold nothing to draw."),
      report.pictures.map(([name, title, description]) =>
        el("figure", { id: "picture-" + name },
          el("h2", {}, title),
          scrolling(title, el("img", { src: `pictures/${name}.svg`, alt: `${title}. ${description}` })),
          el("figcaption", {}, description, " ", el("a", { href: `pictures/${name}.svg` }, "The picture alone")))),
    ],
  };
}
