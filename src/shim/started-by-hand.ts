/** What somebody reads who starts a shim, where plugins say that they are not meant to be executed directly. */
export const STARTED_BY_HAND = `This is a shim of go-plugin-ssh. It is not meant to be executed directly.

A program that uses plugins (Terraform, Vault, tflint and others built on HashiCorp's go-plugin) starts it in the place
of a plugin; the plugin itself then runs on another machine, over SSH.

  go-plugin-ssh shim --install <path> <destination> -- <command>   writes a shim that such a program can start
  go-plugin-ssh run <destination> -- <command>                     starts a plugin by hand, to see whether it works
  go-plugin-ssh shim --help                                        tells the rest
`;
