import type { Http2LinkOptions } from "./http2-link.ts";
import { isMutual, type PluginTls, tlsFailed } from "./plugin-tls.ts";

/**
 * How HTTP/2 over a secured stream begins.
 *
 * With AutoMTLS the plugin has made its certificate because it was given ours, and the pin has shown that it is the one
 * which answers, so calls need not wait until it speaks. Other plugins must first say that they take us: in TLS 1.3 the
 * host has finished before the plugin looks at its certificate.
 */
export function linkOptions(tls: PluginTls | undefined): Http2LinkOptions {
  return {
    countsWhen: tls && isMutual(tls) ? "opened" : "settings",
    explain: (cause) => (tls && isAlert(cause) ? tlsFailed(tls, cause) : undefined),
  };
}

/** What the other side had against our TLS. In TLS 1.3 it comes when we believe to be done. */
function isAlert(cause: Error): boolean {
  return "code" in cause && String(cause.code).startsWith("ERR_SSL_");
}
