// <fenqi-reading>: keeps the form's button shut until the table above it has been read for as long as it has to be. The
// clock that counts is the server's, which refuses too early an agreement with or without this; here only the span is measured.
class FenqiReading extends HTMLElement {
  connectedCallback() {
    const button = this.closest('form')?.querySelector('button.primary');
    const seconds = Number(this.getAttribute('seconds'));
    if (!button || !(seconds > 0)) return;
    this.until ??= performance.now() + seconds * 1000;
    this.line ??= document.createElement('p');
    this.line.className = 'fine';
    this.line.setAttribute('role', 'status');
    this.append(this.line);
    button.disabled = true;
    this.tick(button);
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
  }

  tick(button) {
    const left = Math.ceil((this.until - performance.now()) / 1000);
    if (left > 0) {
      // Every second for eyes; for ears at the beginning and at the end alone.
      if (left !== this.shown) {
        this.line.setAttribute('aria-live', this.shown ? 'off' : 'polite');
        this.line.textContent = this.dataset.left.replace('{n}', left);
        this.shown = left;
      }
      this.timer = setTimeout(() => this.tick(button), 250);
      return;
    }
    button.disabled = false;
    this.line.setAttribute('aria-live', 'polite');
    this.line.textContent = this.dataset.over;
  }
}

customElements.define('fenqi-reading', FenqiReading);
