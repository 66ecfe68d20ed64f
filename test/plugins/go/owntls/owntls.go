// Package owntls is TLS that a plugin brings along, in the place of AutoMTLS.
package owntls

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
)

// Files are where it is.
type Files struct {
	certificate string
	key         string
	authorities string
}

// Register makes flags for the files.
func (f *Files) Register() {
	flag.StringVar(&f.certificate, "tls-cert", "", "serve TLS with the certificate in this PEM `file`, whatever the host asks for; needs -tls-key")
	flag.StringVar(&f.key, "tls-key", "", "its private key, in a PEM `file`")
	flag.StringVar(&f.authorities, "tls-ca", "", "let in, and dial, only hosts with a certificate for localhost by one of those in this PEM `file`")
}

// Provider is for go-plugin's TLSProvider: nil if no certificate is named.
func (f *Files) Provider() func() (*tls.Config, error) {
	if f.certificate == "" {
		return nil
	}
	return f.config
}

// config is for connections in both directions: go-plugin's broker uses it on either side.
func (f *Files) config() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		ServerName:   "localhost",
	}
	if f.authorities == "" {
		return config, nil
	}
	content, err := os.ReadFile(f.authorities)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("no certificate in %s", f.authorities)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs = pool
	config.RootCAs = pool
	return config, nil
}
