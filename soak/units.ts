const MIB = 1024 * 1024;

export function bytesText(bytes: number): string {
  if (bytes < MIB) return `${(bytes / 1024).toFixed(0)} KiB`;
  if (bytes < 1024 * MIB) return `${(bytes / MIB).toFixed(0)} MiB`;
  return `${(bytes / 1024 / MIB).toFixed(1)} GiB`;
}

export function mibText(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)}`;
}

export function timeText(ms: number): string {
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function countText(count: number): string {
  return count.toLocaleString("en-US");
}
