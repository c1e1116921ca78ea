/**
 * `<div ${styleVars({ '--share': '0.4', width: '3px' })}>`: sets style properties one by one. A `style` attribute (and
 * Lit's styleMap, which writes one first) is refused by the page's content security policy.
 */
import { noChange } from 'lit';
import { Directive, directive, type ElementPart, type PartInfo, PartType } from 'lit/directive.js';

type Properties = Readonly<Record<string, string | null>>;

class StyleVars extends Directive {
  private applied: Properties = {};

  constructor(part: PartInfo) {
    super(part);
    if (part.type !== PartType.ELEMENT) throw new Error('styleVars belongs on an element, outside of its attributes.');
  }

  override render(_properties: Properties): unknown {
    return noChange;
  }

  override update(part: ElementPart, [properties]: [Properties]): unknown {
    const { style } = part.element as HTMLElement | SVGElement;
    for (const [name, value] of Object.entries(properties)) {
      if (this.applied[name] === value) continue;
      if (value === null) style.removeProperty(name);
      else style.setProperty(name, value);
    }
    this.applied = properties;
    return noChange;
  }
}

export const styleVars = directive(StyleVars);
