package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// ownTLS names the files for TLS that the plugin brings along, in the place of AutoMTLS.
type ownTLS struct {
	certificate string
	key         string
	authorities string
}

// provider is nil if no certificate is named.
func (o ownTLS) provider() func() (*tls.Config, error) {
	if o.certificate == "" {
		return nil
	}
	return o.config
}

func (o ownTLS) config() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(o.certificate, o.key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if o.authorities == "" {
		return config, nil
	}
	content, err := os.ReadFile(o.authorities)
	if err != nil {
		return nil, err
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("no certificate in %s", o.authorities)
	}
	return config, nil
}
