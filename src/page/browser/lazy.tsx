/** A screen whose code is loaded when it is opened. */
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { t } from './language.ts';
import { TroubleBox } from './parts.tsx';

export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let loaded: ComponentType<Props> | undefined;
  return function Lazy(props: Props) {
    const [failed, setFailed] = useState(false);
    const [, redraw] = useState(0);
    const begin = () => {
      setFailed(false);
      load().then(
        (component) => {
          loaded = component;
          redraw((count) => count + 1);
        },
        () => setFailed(true),
      );
    };
    useEffect(() => {
      if (!loaded) begin();
    }, []);
    const Loaded = loaded;
    if (Loaded) return <Loaded {...props} />;
    if (!failed) return <p role="status">{t('loading')}</p>;
    // A module that failed once is not asked for again by the browser: the whole page is.
    return (
      <TroubleBox
        trouble={{
          what: t('noAnswer'),
          whose: t('faultOfNetwork'),
          next: t('noAnswerNext'),
          status: 0,
          english: false,
        }}
        again={() => location.reload()}
      />
    );
  };
}
