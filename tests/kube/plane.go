package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	cliflag "k8s.io/component-base/cli/flag"
	basecompat "k8s.io/component-base/compatibility"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apioptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// What deployments, services, namespaces, jobs, quotas, claims and the collection of garbage need.
const controllers = "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller," +
	"job-controller,cronjob-controller,garbage-collector-controller,namespace-controller,serviceaccount-controller," +
	"serviceaccount-token-controller,root-ca-certificate-publisher-controller,endpoints-controller," +
	"endpointslice-controller,disruption-controller,clusterrole-aggregation-controller,resourcequota-controller," +
	"persistentvolumeclaim-protection-controller"

// plane is a running control plane.
type plane struct {
	host   string
	client kubernetes.Interface
	// ended holds the end of the first component that ends.
	ended chan error
}

func startControlPlane(ctx context.Context, dir folder, keys *keys) (*plane, error) {
	etcd, err := startEtcd(dir.file("etcd"))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &plane{host: "https://" + listener.Addr().String(), ended: make(chan error, 3)}
	if err := writeKubeconfig(dir.file("kubeconfig"), p.host, keys); err != nil {
		return nil, err
	}
	p.client, err = kubernetes.NewForConfig(&rest.Config{
		Host: p.host, BearerToken: keys.token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: keys.authority},
	})
	if err != nil {
		return nil, err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	parts, err := configure(dir, listener, etcd.Clients[0].Addr().String())
	if err != nil {
		return nil, err
	}
	return p, p.start(ctx, parts)
}

// parts are the options of the three components. Their feature gates share one registry, which is set once, when all
// flags have been read.
type parts struct {
	api       *apioptions.ServerRunOptions
	manager   *manageroptions.KubeControllerManagerOptions
	scheduler *scheduleroptions.Options
}

func configure(dir folder, listener net.Listener, etcd string) (*parts, error) {
	manage, err := manageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	p := &parts{api: apioptions.NewServerRunOptions(), manager: manage, scheduler: scheduleroptions.NewOptions()}
	p.api.SecureServing.Listener = listener
	p.api.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	p.api.SecureServing.ExternalAddress = net.IPv4(127, 0, 0, 1)
	// An address of loopback can't be an endpoint of the service `kubernetes`.
	p.api.EndpointReconcilerType = "none"
	err = read(p.api.Flags(),
		"--etcd-servers=http://"+etcd, "--bind-address=127.0.0.1", "--authorization-mode=RBAC", "--allow-privileged=true",
		"--tls-cert-file="+dir.file("server.crt"), "--tls-private-key-file="+dir.file("server.key"),
		"--token-auth-file="+dir.file("tokens.csv"), "--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+dir.file("accounts.key"),
		"--service-account-signing-key-file="+dir.file("accounts.key"), "--kubelet-preferred-address-types=InternalIP")
	if err != nil {
		return nil, err
	}
	fast := []string{"--kubeconfig=" + dir.file("kubeconfig"), "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=1000", "--kube-api-burst=2000"}
	flags := manage.Flags(manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases())
	manage.ParsedFlags = &flags
	if err := read(flags, append([]string{"--controllers=" + controllers,
		"--service-account-private-key-file=" + dir.file("accounts.key"), "--root-ca-file=" + dir.file("ca.crt")}, fast...)...); err != nil {
		return nil, err
	}
	if err := read(*p.scheduler.Flags, fast...); err != nil {
		return nil, err
	}
	registry := p.api.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return nil, err
	}
	return p, logsapi.ValidateAndApply(p.api.Logs, registry.FeatureGateFor(basecompat.DefaultKubeComponent))
}

func read(sets cliflag.NamedFlagSets, args ...string) error {
	all := pflag.NewFlagSet("kube", pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		all.AddFlagSet(set)
	}
	return all.Parse(args)
}

func (p *plane) start(ctx context.Context, parts *parts) error {
	api, err := parts.api.Complete(ctx)
	if err != nil {
		return err
	}
	if faults := api.Validate(); len(faults) > 0 {
		return faults[0]
	}
	go p.run("kube-apiserver", func() error { return apiserver.Run(ctx, api) })
	if err := p.untilReady(ctx); err != nil {
		return err
	}
	config, err := parts.manager.Config(ctx, manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases())
	if err != nil {
		return err
	}
	go p.run("kube-controller-manager", func() error { return manager.Run(ctx, config.Complete()) })
	completed, schedule, err := scheduler.Setup(ctx, parts.scheduler)
	if err != nil {
		return err
	}
	go p.run("kube-scheduler", func() error { return scheduler.Run(ctx, completed, schedule) })
	return nil
}

func (p *plane) run(name string, work func() error) {
	p.ended <- fmt.Errorf("%s has ended: %w", name, work())
}

func (p *plane) untilReady(ctx context.Context) error {
	for {
		answer, _ := p.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if string(answer) == "ok" {
			return nil
		}
		select {
		case err := <-p.ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// wait gives a fault only where a component ended before it was told to. Nobody needs the data after us, so nothing is
// brought to an orderly end.
func (p *plane) wait(ctx context.Context) error {
	select {
	case err := <-p.ended:
		if ctx.Err() == nil {
			return err
		}
	case <-ctx.Done():
	}
	return nil
}

func startEtcd(dir string) (*embed.Etcd, error) {
	// A segment is allocated as a whole; the default of 64 MB is for more than a test.
	wal.SegmentSizeBytes = 8 << 20
	config := embed.NewConfig()
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenClientUrls, config.AdvertiseClientUrls = anyPort, anyPort
	config.ListenPeerUrls, config.AdvertisePeerUrls = anyPort, anyPort
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.Dir, config.LogLevel, config.UnsafeNoFsync = dir, "error", true
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	<-etcd.Server.ReadyNotify()
	return etcd, nil
}

// serve listens with a certificate on a free port of loopback.
func serve(certificate tls.Certificate) (net.Listener, error) {
	return tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
}
