// <fenqi-options>: makes the server's form livelier and is not needed for it. It holds no figures of its own:
// every amount it shows is a text that the server wrote. States: ready, loading, stale, expired, error.
const part = (root, name) => root.querySelector(`[data-fq-part="${name}"]`);

// A parsed document, without any script having run and without an HTML-string sink.
const page = (url, signal) => new Promise((done, fail) => {
  const ask = new XMLHttpRequest();
  ask.open('GET', url);
  ask.responseType = 'document';
  ask.onload = () => (ask.status < 500 && ask.response ? done(ask) : fail(new Error(String(ask.status))));
  ask.onerror = ask.ontimeout = () => fail(new Error('network'));
  signal.addEventListener('abort', () => ask.abort());
  ask.timeout = 15000;
  ask.send();
});

class FenqiOptions extends HTMLElement {
  static observedAttributes = ['cart', 'amount'];

  connectedCallback() {
    if (this.wired) return;
    this.wired = true;
    this.addEventListener('change', (event) => event.target.name === 'plan' && this.choose(event.target));
    this.addEventListener('submit', (event) => event.target.id === 'choose' && this.open(event));
    this.addEventListener('click', (event) => event.target.closest('[data-fq-close]') && this.close(event));
    this.look = () => document.visibilityState === 'visible' && this.check();
    document.addEventListener('visibilitychange', this.look);
    this.wait();
    const kept = this.querySelector('input[name=plan]:checked'); // a browser brings a choice back with the page
    if (kept) this.choose(kept);
    this.say('ready');
  }

  disconnectedCallback() {
    this.wired = false;
    document.removeEventListener('visibilitychange', this.look);
    clearTimeout(this.timer);
    this.asking?.abort();
  }

  attributeChangedCallback(name, before, after) {
    if (this.wired && !this.swapping && before !== null && before !== after) {
      this.state('stale');
      this.refresh();
    }
  }

  say(name, detail = {}) {
    return this.dispatchEvent(new CustomEvent(`fenqi-${name}`, { bubbles: true, composed: true, cancelable: true, detail }));
  }

  state(name) {
    this.setAttribute('state', name);
    const usable = name === 'ready' || name === 'error';
    this.toggleAttribute('aria-busy', name === 'stale' || name === 'loading');
    if (this.hasAttribute('aria-busy')) this.setAttribute('aria-busy', 'true');
    const next = part(this, 'next');
    if (next) next.disabled = !usable;
    part(this, 'expired')?.toggleAttribute('hidden', name !== 'expired');
    if (name !== 'ready') this.say(name);
  }

  // The clock that counts is the server's: only the span between page and expiry is measured here.
  wait() {
    clearTimeout(this.timer);
    const left = Number(this.getAttribute('expires-in'));
    if (left > 0) this.timer = setTimeout(() => this.state('expired'), left * 1000);
  }

  choose(radio) {
    const chosen = part(this, 'chosen');
    const first = document.createElement('b');
    const second = document.createElement('p');
    first.textContent = radio.dataset.chosen;
    second.textContent = radio.dataset.total;
    chosen.replaceChildren(first, second);
    this.say('change', { option: radio.value });
  }

  async open(event) {
    const form = event.target;
    const dialog = part(this, 'sheet');
    if (!dialog?.showModal || this.getAttribute('state') !== 'ready') return;
    event.preventDefault();
    const url = `${form.action}?${new URLSearchParams(new FormData(form))}`;
    this.asking?.abort();
    this.asking = new AbortController();
    this.state('loading');
    try {
      const { response, responseURL } = await page(url, this.asking.signal);
      const sheet = response.querySelector('[data-fq-part="sheet-body"]');
      if (!sheet) return location.assign(responseURL || url);
      dialog.replaceChildren(document.adoptNode(sheet));
      this.state('ready');
      dialog.showModal();
      dialog.scrollTop = 0;
    } catch {
      location.assign(url); // the plain page does the same
    }
  }

  close(event) {
    event.preventDefault();
    part(this, 'sheet').close();
  }

  // Another window may have changed the cart: old figures must not be submitted. Asking for its name is cheap.
  async check() {
    if (part(this, 'sheet')?.open) return;
    const answer = await fetch(this.getAttribute('check')).catch(() => null);
    if (answer?.ok) this.setAttribute('cart', await answer.text());
  }

  // New offers, with what changed between the ones on the page and these: the server tells it.
  async refresh() {
    this.asking?.abort();
    this.asking = new AbortController();
    const seen = this.querySelector('input[name=decision]').value;
    try {
      const { response } = await page(`${location.pathname}?seen=${encodeURIComponent(seen)}`, this.asking.signal);
      const fresh = response.querySelector('fenqi-options');
      if (!fresh) return location.reload();
      this.swapping = true;
      for (const name of ['cart', 'expires-in']) this.setAttribute(name, fresh.getAttribute(name));
      this.swapping = false;
      this.replaceChildren(...document.adoptNode(fresh).childNodes);
      this.state('ready');
      this.wait();
    } catch {
      this.state('error');
    }
  }
}

customElements.define('fenqi-options', FenqiOptions);
