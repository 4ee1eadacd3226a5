declare module 'systemd-notify' {
  const notify: (options: { ready?: boolean; status?: string; pid?: number }) => Promise<void>;
  export default notify;
}
