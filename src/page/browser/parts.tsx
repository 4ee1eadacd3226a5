/** What several screens show: shapes of a verdict, troubles, tables, what is being asked. */
import type { ComponentChildren, VNode } from 'preact';
import type { Verdict } from '../../reading/verdict.ts';
import type { Trouble } from './api.ts';
import { t, words } from './language.ts';
import type { Asked } from './live.ts';
import type { Severity } from './verdict-texts.ts';

const shapes: Readonly<Record<Severity, VNode>> = {
  good: (
    <>
      <circle cx="12" cy="12" r="10" />
      <path class="mark" d="m7 12 4 4 6-8" />
    </>
  ),
  note: (
    <>
      <rect x="2.5" y="2.5" width="19" height="19" rx="3" />
      <path class="mark" d="M12 11v6M12 6.5v1" />
    </>
  ),
  warn: (
    <>
      <path d="M12 1.5 23 21.5H1z" />
      <path class="mark" d="M12 9v6M12 17.5v1" />
    </>
  ),
  bad: (
    <>
      <path d="M7.5 1.5h9l6 6v9l-6 6h-9l-6-6v-9z" />
      <path class="mark" d="m8 8 8 8m0-8-8 8" />
    </>
  ),
  unknown: (
    <>
      <circle cx="12" cy="12" r="9.5" class="hollow" />
      <path class="mark dark" d="M9.5 9.5a2.6 2.6 0 1 1 2.6 3v1.2M12 17v.6" />
    </>
  ),
};
/** Colour and shape; the word stands beside it. */
export const Shape = ({ of }: { readonly of: Severity }) => (
  <svg class={`shape ${of}`} viewBox="0 0 24 24" aria-hidden="true">
    {shapes[of]}
  </svg>
);
/** Of a newer gateway there may be a verdict that this page does not know: it is shown as it is. */
export const textsOf = (verdict: Verdict) =>
  words().verdictTexts[verdict] ?? { severity: 'bad' as const, short: verdict, meaning: verdict };
export const VerdictWord = ({ verdict }: { readonly verdict: Verdict }) => (
  <span class="verdict">
    <Shape of={textsOf(verdict).severity} />
    <b>{textsOf(verdict).short}</b>
  </span>
);
export const Badge = ({ of, children }: { readonly of: Severity; readonly children: ComponentChildren }) => (
  <span class={`badge ${of}`}>
    <Shape of={of} />
    <span>{children}</span>
  </span>
);

/** The next step, which is what somebody came for. */
export const Next = ({ children, english }: { readonly children: ComponentChildren; readonly english?: boolean }) => (
  <p class="next">
    <b>{t('next')}: </b>
    <span lang={english ? 'en' : undefined}>{children}</span>
  </p>
);

export function TroubleBox({
  trouble,
  again,
}: {
  readonly trouble: Trouble;
  readonly again?: (() => void) | undefined;
}) {
  const { what, whose, next, english } = trouble;
  return (
    <div class="trouble" role="alert">
      <Shape of="bad" />
      <div>
        <p lang={english ? 'en' : undefined}>{what}</p>
        <p>
          {t('whose')}: {whose}
        </p>
        <Next>{next}</Next>
        {again && (
          <button type="button" onClick={again}>
            {t('tryAgain')}
          </button>
        )}
      </div>
    </div>
  );
}
/** What was asked: its value, else the trouble, else that it is being asked. */
export function Answered<T>({
  asked,
  children,
}: {
  readonly asked: Asked<T>;
  readonly children: (value: T) => ComponentChildren;
}) {
  const { value, trouble, again, asking } = asked;
  return (
    <>
      {trouble && <TroubleBox trouble={trouble} again={again} />}
      {value === undefined ? !trouble && asking && <p role="status">{t('loading')}</p> : children(value)}
    </>
  );
}

/** Wide tables scroll within their own box, which the keyboard reaches. */
export const Table = ({
  caption,
  head,
  rows,
}: {
  readonly caption: string;
  readonly head: readonly ComponentChildren[];
  readonly rows: readonly (readonly ComponentChildren[])[];
}) => (
  // A region that scrolls is reached by the keyboard (axe: scrollable-region-focusable).
  <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
    <table>
      <caption class="only-heard">{caption}</caption>
      <thead>
        <tr>
          {head.map((one) => (
            <th scope="col">{one}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((cells) => (
          <tr>{cells.map((one, i) => (i === 0 ? <th scope="row">{one}</th> : <td>{one}</td>))}</tr>
        ))}
      </tbody>
    </table>
  </div>
);

export function DayChoice({
  days,
  of,
  choose,
}: {
  readonly days: number;
  readonly of: readonly number[];
  readonly choose: (days: number) => void;
}) {
  return (
    <fieldset class="choice">
      <legend>{t('days')}</legend>
      {of.map((one) => (
        <button type="button" aria-pressed={one === days} onClick={() => choose(one)}>
          {one === 1 ? t('dayOne') : t('daysCount', one)}
        </button>
      ))}
    </fieldset>
  );
}
