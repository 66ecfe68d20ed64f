import { type Address, formatAddress, parseAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import { decodeCertificateField } from "../handshake/certificates.ts";
import { hasHandshakeFields, isCertificateField } from "../handshake/handshake-line.ts";

/** Which of the fields is which. */
const [APP, NETWORK, ADDRESS, PROTOCOL, CERTIFICATE] = [1, 2, 3, 4, 5];

/** A plugin's handshake line, field by field. What it means is the host's to judge, but for the address. */
export class HandshakeFields {
  readonly #fields: readonly string[];
  /** Where the plugin listens, on its own side. */
  readonly address: Address;

  /** @throws {PluginError} `handshake-failed` if it has too few fields, or an address that is none */
  constructor(line: string) {
    const text = line.trim();
    if (!hasHandshakeFields(text)) {
      throw new PluginError("handshake-failed", `Unrecognized remote plugin message: ${JSON.stringify(text)}`);
    }
    this.#fields = text.split("|");
    this.address = parseAddress(this.#field(NETWORK), this.#field(ADDRESS));
  }

  /** The version of the application's protocol that the plugin chose, as it wrote it. */
  get appVersion(): string {
    return this.#field(APP);
  }

  /** `grpc` or `netrpc`; an absent field stands for net/rpc. */
  get protocol(): string {
    return this.#field(PROTOCOL) || "netrpc";
  }

  /** The same as a number. @throws {PluginError} `handshake-failed` if it is none */
  get appVersionNumber(): number {
    if (/^\d{1,9}$/.test(this.appVersion)) return Number(this.appVersion);
    const what = `The plugin chose a version of its protocol that is no number: ${JSON.stringify(this.appVersion)}.`;
    throw new PluginError("handshake-failed", what);
  }

  /** Whether the line holds a certificate, which a plugin has that serves TLS. */
  get hasCertificate(): boolean {
    return isCertificateField(this.#field(CERTIFICATE));
  }

  /**
   * The plugin's certificate, as DER; `undefined` if it serves without TLS.
   *
   * @throws {PluginError} `handshake-failed` if the field holds none
   */
  get certificate(): Buffer | undefined {
    return this.hasCertificate ? decodeCertificateField(this.#field(CERTIFICATE)) : undefined;
  }

  /** The line for the host: the same, with another address, and another certificate if one is given. */
  rewritten(at: Address, certificate?: string): string {
    const fields = [...this.#fields];
    fields[NETWORK] = at.network;
    fields[ADDRESS] = formatAddress(at);
    if (certificate !== undefined) fields[CERTIFICATE] = certificate;
    return fields.join("|");
  }

  #field(index: number): string {
    return this.#fields[index] ?? "";
  }
}
