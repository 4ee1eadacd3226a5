import './app.css';
import { render } from 'preact';
import { choose } from './language.ts';
import { Shell } from './shell.tsx';

const place = document.querySelector('#page');
if (place) void choose().then(() => render(<Shell />, place));
