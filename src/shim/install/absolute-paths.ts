import { resolve } from "node:path";
import type { ShimSettings } from "../settings.ts";

/** Keywords of ssh_config whose values are files, which are taken from wherever the program was started. */
const FILES = /^(IdentityFile|CertificateFile|UserKnownHostsFile|GlobalKnownHostsFile)(\s*[=\s]\s*)(.*)$/is;

/** The same settings, with files named by absolute paths: a host starts the shim wherever it likes. */
export function withAbsolutePaths(settings: ShimSettings): ShimSettings {
  const { connect } = settings;
  if (!connect) return settings;
  const { identityFile, configFile, sshOptions } = connect;
  return {
    ...settings,
    connect: {
      ...connect,
      ...(identityFile !== undefined && { identityFile: [identityFile].flat().map(absolute) }),
      ...(configFile !== undefined && configFile !== "none" && { configFile: absolute(configFile) }),
      ...(sshOptions && { sshOptions: sshOptions.map(absoluteFiles) }),
    },
  };
}

function absolute(path: string): string {
  return /^[~%$]/.test(path) ? path : resolve(path);
}

/** `Keyword=value` with absolute paths in it, if it names files. */
function absoluteFiles(setting: string): string {
  const [, keyword, between, value] = FILES.exec(setting.trim()) ?? [];
  if (keyword === undefined || value === undefined) return setting;
  return `${keyword}${between}${value.replace(/"([^"]*)"|\S+/g, (word, quoted?: string) => absoluteWord(quoted ?? word))}`;
}

function absoluteWord(path: string): string {
  const whole = /^none$/i.test(path) ? path : absolute(path);
  return /\s/.test(whole) ? `"${whole}"` : whole;
}
