/** `<espalier-elapsed>`: the time since `since` (milliseconds since 1970), counted on each second. */
import { LitElement, type PropertyValues } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { elapsed } from '../format';

@customElement('espalier-elapsed')
export class EspalierElapsed extends LitElement {
  @property({ type: Number }) since = 0;
  private timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = setInterval(() => this.requestUpdate(), 1000);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  protected override render(): string {
    return elapsed((Date.now() - this.since) / 1000);
  }

  protected override updated(_changed: PropertyValues): void {
    // A screen reader must not be told every second.
    this.setAttribute('aria-live', 'off');
  }
}
