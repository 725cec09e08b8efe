// New cells of a notebook.

export const INSERT = '[data-jp-item-name="insert"]';

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// JupyterLab and Notebook 7 give widgets no way to add cells, so this presses the notebook's own button and
// pastes into the new cell, which is then the active one.
export async function inserted(el, text) {
  const notebook = el.closest(".jp-NotebookPanel");
  const button = notebook?.querySelector(`${INSERT} :is(button, jp-button)`);
  if (!button) return false;
  const own = el.closest(".jp-Cell");
  own?.dispatchEvent(new MouseEvent("mousedown", { bubbles: true }));
  own?.dispatchEvent(new MouseEvent("mouseup", { bubbles: true }));
  const count = () => notebook.querySelectorAll(".jp-Cell").length;
  const before = count();
  // Some hosts' buttons listen to mousedown, others to click.
  button.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, button: 0 }));
  await wait(100);
  if (count() === before) button.click();
  for (let tries = 0; tries < 40; tries++) {
    await wait(50);
    const editor = notebook.querySelector(".jp-Cell.jp-mod-active .cm-content");
    if (count() === before || !editor || own?.contains(editor)) continue;
    const data = new DataTransfer();
    data.setData("text/plain", text);
    editor.focus();
    editor.dispatchEvent(
      new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }),
    );
    await wait(50);
    return editor.textContent.length > 1;
  }
  return false;
}
