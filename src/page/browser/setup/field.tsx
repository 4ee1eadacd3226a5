/** A field of the first run. What is half typed stays in it, whatever is drawn anew meanwhile; it is entered when the field, or its step, is left. */
import type { PartialInputHTMLAttributes } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

type Attributes = 'inputMode' | 'spellcheck' | 'autocapitalize' | 'autocomplete' | 'maxLength';

export function Field({
  label,
  value,
  entered,
  ...rest
}: Pick<PartialInputHTMLAttributes<HTMLInputElement>, Attributes> & {
  readonly label: string;
  readonly value: string | number;
  readonly entered: (text: string) => void;
}) {
  const typed = useRef<string | undefined>(undefined);
  const leave = useRef(() => {});
  leave.current = () => {
    const text = typed.current;
    typed.current = undefined;
    if (text !== undefined) entered(text.trim());
  };
  useEffect(() => () => leave.current(), []);
  return (
    <label>
      {label}
      <input
        {...rest}
        type="text"
        value={typed.current ?? value}
        onInput={({ currentTarget }) => (typed.current = currentTarget.value)}
        onChange={() => leave.current()}
      />
    </label>
  );
}
