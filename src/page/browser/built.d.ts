declare module '*.css';
/** Made of dictionary.ts by the build. */
declare module 'words:page-*' {
  import type { PageWords } from './dictionary.ts';
  const words: PageWords;
  export default words;
}
declare module 'words:work-*' {
  import type { WorkWords } from './dictionary.ts';
  const words: WorkWords;
  export default words;
}
