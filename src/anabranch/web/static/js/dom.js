// A small way to describe elements and to bring the page in line with the description without
// losing focus, selection or scroll position.

const SVG = new Set(["svg", "path", "rect", "line", "circle"]);

/** Describe an element: h("td", {class: "number"}, "12"). Null children are left out. */
export function h(tag, attributes, ...children) {
  const element = SVG.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Make the children of `parent` equal to `wanted`. Elements with data-keep keep what is inside;
 * those with data-keep-open stay open. */
export function patch(parent, ...wanted) {
  const next = wanted.flat(Infinity).filter((node) => node instanceof Node);
  const keyed = new Map();
  for (const node of parent.children) if (node.dataset?.key) keyed.set(node.dataset.key, node);
  next.forEach((node, at) => {
    const key = node.nodeType === Node.ELEMENT_NODE ? node.dataset?.key : undefined;
    let present = parent.childNodes[at];
    if (key && keyed.has(key) && keyed.get(key) !== present) {
      parent.insertBefore(keyed.get(key), present || null);
      present = parent.childNodes[at];
    }
    if (!present) parent.append(node);
    else if (same(present, node)) update(present, node);
    else if (present.dataset?.key) parent.insertBefore(node, present);
    else parent.replaceChild(node, present);
  });
  while (parent.childNodes.length > next.length) parent.lastChild.remove();
}

function same(present, node) {
  return (
    present.nodeType === node.nodeType &&
    present.nodeName === node.nodeName &&
    (present.dataset?.key ?? "") === (node.dataset?.key ?? "")
  );
}

function update(present, node) {
  if (present.nodeType !== Node.ELEMENT_NODE) {
    if (present.data !== node.data) present.data = node.data;
    return;
  }
  for (const { name } of [...present.attributes]) {
    const kept = name === "open" && node.hasAttribute("data-keep-open");
    if (!node.hasAttribute(name) && !kept) present.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (present.getAttribute(name) !== value) present.setAttribute(name, value);
  }
  if (!node.hasAttribute("data-keep")) patch(present, [...node.childNodes]);
}
