/* Keeps what is selected where an answer is written anew: a selection is remembered by its letters, since the
   nodes go. Blanks do not count; they differ between an answer that grows and a finished one. */

const squeeze = (text) => text.replace(/\s+/g, "");

function selectedText() {
  const selection = document.getSelection();
  return selection.rangeCount ? squeeze(selection.getRangeAt(0).toString()) : "";
}

/** How many letters of `root` stand before a place in it. */
function count(root, node, offset) {
  const range = document.createRange();
  range.setStart(root, 0);
  range.setEnd(node, offset);
  return squeeze(range.toString()).length;
}

/** The place before the letter of this number; null where there are not as many. */
function find(root, number) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  let left = number;
  while (walker.nextNode()) {
    const { currentNode: node } = walker;
    const letters = [...node.data.matchAll(/\S/g)];
    if (left < letters.length) return [node, letters[left].index];
    left -= letters.length;
  }
  return null;
}

/**
 * Remember what is selected in a text. Returns what selects the same in the text that took its place, if it
 * is still there.
 */
export function keepSelection(text) {
  const selection = document.getSelection();
  const wanted = selection.isCollapsed ? "" : selectedText();
  if (!wanted || !selection.containsNode(text, true)) return () => {};
  const { startContainer, startOffset, endContainer, endOffset } = selection.getRangeAt(0);
  const isBackward = selection.anchorNode !== startContainer || selection.anchorOffset !== startOffset;
  if (!text.contains(startContainer) || !text.contains(endContainer)) return () => {};
  const first = count(text, startContainer, startOffset);
  return (renewed) => {
    if (!renewed || selectedText() === wanted) return;
    const start = find(renewed, first);
    const last = find(renewed, first + wanted.length - 1);
    if (!start || !last) return;
    const ends = [start, [last[0], last[1] + 1]];
    const range = document.createRange();
    range.setStart(...ends[0]);
    range.setEnd(...ends[1]);
    if (squeeze(range.toString()) !== wanted) return;
    if (isBackward) ends.reverse();
    selection.setBaseAndExtent(...ends[0], ...ends[1]);
  };
}
