package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// keys are the secrets of one cluster, drawn anew for each.
type keys struct {
	authority     []byte
	server        tls.Certificate
	expired       tls.Certificate
	token, nobody string
}

func makeKeys(dir folder) (*keys, error) {
	root, err := newAuthority()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	server, serverKey, err := root.issue(now.Add(24 * time.Hour))
	if err != nil {
		return nil, err
	}
	old, oldKey, err := root.issue(now.Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	accounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	accountsKey, err := encodeKey(accounts)
	if err != nil {
		return nil, err
	}
	k := &keys{authority: root.pem, token: rand.Text(), nobody: rand.Text()}
	if k.server, err = tls.X509KeyPair(server, serverKey); err != nil {
		return nil, err
	}
	if k.expired, err = tls.X509KeyPair(old, oldKey); err != nil {
		return nil, err
	}
	users := fmt.Sprintf("%s,admin,admin,system:masters\n%s,nobody,nobody,nobodies\n", k.token, k.nobody)
	for name, text := range map[string][]byte{
		"ca.crt": root.pem, "server.crt": server, "server.key": serverKey, "accounts.key": accountsKey, "tokens.csv": []byte(users),
	} {
		if err := os.WriteFile(dir.file(name), text, 0o600); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// authority signs the certificates of the cluster.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kube of the tests"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// issue makes a server's certificate and its key, both PEM.
func (a *authority) issue(until time.Time) ([]byte, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(until.UnixNano()), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: until.Add(-36 * time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	text, err := encodeKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), text, err
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}

func writeKubeconfig(file, host string, keys *keys) error {
	config := api.NewConfig()
	config.Clusters["kube"] = &api.Cluster{Server: host, CertificateAuthorityData: keys.authority}
	config.AuthInfos["admin"] = &api.AuthInfo{Token: keys.token}
	config.Contexts["kube"] = &api.Context{Cluster: "kube", AuthInfo: "admin"}
	config.CurrentContext = "kube"
	return clientcmd.WriteToFile(*config, file)
}
