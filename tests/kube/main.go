// Command kube is the Kubernetes of the tests: one process with etcd, the real API server, controllers and scheduler, and a
// stand-in for what no laptop has, a node's kubelet and a cloud's load balancers.
//
// It writes all that it keeps below one folder, which it makes and takes away again, listens on loopback alone, and says
// that it is ready by writing ready.json there. It ends with its standard input: a test that dies takes it along.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	dir := flag.String("dir", "", "folder to make for certificates, data and ready.json")
	node := nodeFlags()
	flag.Parse()
	if *dir == "" {
		log.Fatal("kube: -dir is needed")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := run(ctx, folder(*dir), node); err != nil {
		log.Fatalf("kube: %v", err)
	}
}

// folder is where everything of one cluster lies.
type folder string

func (f folder) file(name string) string { return filepath.Join(string(f), name) }

// remove takes the folder away. The components still run and may write once more in between; they end with the process.
func (f folder) remove() {
	for range 3 {
		if os.RemoveAll(string(f)) == nil {
			return
		}
	}
}

// ready is what a test needs to know of the cluster.
type ready struct {
	Host string `json:"host"`
	CA   string `json:"ca"`
	// Token is the administrator's; Nobody's is known and may do nothing.
	Token  string `json:"token"`
	Nobody string `json:"nobody"`
	// Expired is the address of a server whose certificate of the same authority is no longer valid.
	Expired string `json:"expired"`
	// Webhook is the address of an admission webhook that refuses everything.
	Webhook    string `json:"webhook"`
	Kubeconfig string `json:"kubeconfig"`
}

func run(ctx context.Context, dir folder, node *node) error {
	// A folder that is there already belongs to somebody, and would not be ours to take away.
	if err := os.Mkdir(string(dir), 0o700); err != nil {
		return err
	}
	defer dir.remove()
	keys, err := makeKeys(dir)
	if err != nil {
		return err
	}
	plane, err := startControlPlane(ctx, dir, keys)
	if err != nil {
		return err
	}
	pages, err := servePages(keys)
	if err != nil {
		return err
	}
	if err := node.join(ctx, plane.client, pages.port); err != nil {
		return err
	}
	text, err := json.Marshal(ready{
		Host: plane.host, CA: string(keys.authority), Token: keys.token, Nobody: keys.nobody,
		Expired: pages.expired, Webhook: pages.webhook, Kubeconfig: dir.file("kubeconfig"),
	})
	if err != nil {
		return err
	}
	// Renamed into place: who sees it sees all of it.
	if err := os.WriteFile(dir.file("ready.tmp"), text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(dir.file("ready.tmp"), dir.file("ready.json")); err != nil {
		return err
	}
	return plane.wait(ctx)
}
