package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
)

const nodeName = "node-0"

// Words in a container's image that decide how it ends.
const (
	noImage   = "no-such-image"
	crashing  = "crashing"
	neverWell = "never-ready"
	failing   = "failing"
)

// node plays a node's kubelet and a cloud's load balancers: it moves the status of pods and services along.
type node struct {
	start, well, work, balancer time.Duration

	client   kubernetes.Interface
	pods     listers.PodLister
	services listers.ServiceLister
	// seen is when an object was first met.
	seen map[types.UID]time.Time
	// addresses counts the pods that got one.
	addresses int
}

func nodeFlags() *node {
	n := &node{seen: map[types.UID]time.Time{}}
	flag.DurationVar(&n.start, "start", 100*time.Millisecond, "from scheduled to running")
	flag.DurationVar(&n.well, "well", 200*time.Millisecond, "from running to ready")
	flag.DurationVar(&n.work, "work", 500*time.Millisecond, "from running to the end, of pods that end")
	flag.DurationVar(&n.balancer, "balancer", time.Second, "until a load balancer has an address")
	return n
}

// join registers the node and goes on with its life until the context ends.
func (n *node) join(ctx context.Context, client kubernetes.Interface, port int32) error {
	n.client = client
	if err := n.register(ctx, port); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	n.pods, n.services = factory.Core().V1().Pods().Lister(), factory.Core().V1().Services().Lister()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go n.live(ctx)
	return nil
}

func (n *node) register(ctx context.Context, port int32) error {
	nodes := n.client.CoreV1().Nodes()
	made, err := nodes.Create(ctx, &core.Node{ObjectMeta: meta.ObjectMeta{Name: nodeName, Labels: map[string]string{
		core.LabelHostname: nodeName, core.LabelOSStable: "linux", core.LabelArchStable: "amd64",
		core.LabelTopologyZone: "test-1a", core.LabelTopologyRegion: "test-1",
	}}}, meta.CreateOptions{})
	if err != nil {
		return err
	}
	// New nodes are tainted until a kubelet reports.
	made.Spec.Taints = nil
	if made, err = nodes.Update(ctx, made, meta.UpdateOptions{}); err != nil {
		return err
	}
	room := core.ResourceList{
		core.ResourceCPU: resource.MustParse("64"), core.ResourceMemory: resource.MustParse("256Gi"),
		core.ResourcePods: resource.MustParse("1000"), core.ResourceEphemeralStorage: resource.MustParse("1Ti"),
	}
	made.Status.Capacity, made.Status.Allocatable = room, room
	made.Status.Addresses = []core.NodeAddress{{Type: core.NodeInternalIP, Address: "127.0.0.1"}}
	made.Status.DaemonEndpoints.KubeletEndpoint.Port = port
	made.Status.Conditions = []core.NodeCondition{{
		Type: core.NodeReady, Status: core.ConditionTrue, Reason: "KubeletReady",
		LastHeartbeatTime: meta.Now(), LastTransitionTime: meta.Now(),
	}}
	_, err = nodes.UpdateStatus(ctx, made, meta.UpdateOptions{})
	return err
}

func (n *node) live(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pods, _ := n.pods.List(labels.Everything())
		for _, pod := range pods {
			if pod.Spec.NodeName == nodeName {
				n.tend(ctx, pod)
			}
		}
		services, _ := n.services.List(labels.Everything())
		for _, service := range services {
			n.balance(ctx, service)
		}
	}
}

func (n *node) age(id types.UID) time.Duration {
	if _, known := n.seen[id]; !known {
		n.seen[id] = time.Now()
	}
	return time.Since(n.seen[id])
}

// balance gives a Service of type LoadBalancer its address; the annotation `test/no-address` withholds it.
func (n *node) balance(ctx context.Context, service *core.Service) {
	_, withheld := service.Annotations["test/no-address"]
	wanted := service.Spec.Type == core.ServiceTypeLoadBalancer && len(service.Status.LoadBalancer.Ingress) == 0
	if !wanted || withheld || n.age(service.UID) < n.balancer {
		return
	}
	changed := service.DeepCopy()
	name := fmt.Sprintf("%s-%s.lb.test", service.Name, service.Namespace)
	changed.Status.LoadBalancer.Ingress = []core.LoadBalancerIngress{{Hostname: name}}
	// A conflict is met again at the next tick.
	_, _ = n.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, changed, meta.UpdateOptions{})
}

// tend moves a pod to where it should be by now.
func (n *node) tend(ctx context.Context, pod *core.Pod) {
	pods := n.client.CoreV1().Pods(pod.Namespace)
	if pod.DeletionTimestamp != nil {
		_ = pods.Delete(ctx, pod.Name, *meta.NewDeleteOptions(0))
		return
	}
	if pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed {
		return
	}
	changed := pod.DeepCopy()
	n.advance(&changed.Status, pod)
	if !equality.Semantic.DeepEqual(changed.Status, pod.Status) {
		_, _ = pods.UpdateStatus(ctx, changed, meta.UpdateOptions{})
	}
}

func (n *node) advance(status *core.PodStatus, pod *core.Pod) {
	age := n.age(pod.UID) - n.start
	begun := meta.NewTime(n.seen[pod.UID].Truncate(time.Second))
	status.StartTime, status.HostIP, status.HostIPs = &begun, "127.0.0.1", []core.HostIP{{IP: "127.0.0.1"}}
	status.ContainerStatuses = nil
	ready, ended, failed, running := true, 0, 0, false
	for _, container := range pod.Spec.Containers {
		one := n.container(pod, container, age, begun)
		status.ContainerStatuses = append(status.ContainerStatuses, one)
		ready = ready && one.Ready
		running = running || one.State.Running != nil
		if one.State.Terminated != nil {
			ended++
			failed += int(one.State.Terminated.ExitCode)
		}
	}
	switch done := ended == len(pod.Spec.Containers); {
	case done && failed > 0:
		status.Phase = core.PodFailed
	case done:
		status.Phase = core.PodSucceeded
	case running:
		status.Phase = core.PodRunning
	}
	if running && status.PodIP == "" {
		n.addresses++
		status.PodIP = fmt.Sprintf("10.244.%d.%d", n.addresses>>8&255, n.addresses&255)
		status.PodIPs = []core.PodIP{{IP: status.PodIP}}
	}
	condition(status, core.PodInitialized, true, begun)
	condition(status, core.ContainersReady, ready, begun)
	condition(status, core.PodReady, ready, begun)
}

// container is the status of one container at an age of its pod.
func (n *node) container(pod *core.Pod, container core.Container, age time.Duration, begun meta.Time) core.ContainerStatus {
	is := func(word string) bool { return strings.Contains(container.Image, word) }
	status := core.ContainerStatus{Name: container.Name, Image: container.Image, ImageID: "test://" + container.Image}
	over := func(code int32, reason string) *core.ContainerStateTerminated {
		return &core.ContainerStateTerminated{ExitCode: code, Reason: reason, StartedAt: begun, FinishedAt: begun}
	}
	waits := func(reason, message string) {
		status.State.Waiting = &core.ContainerStateWaiting{Reason: reason, Message: message}
	}
	endsSometime := pod.Spec.RestartPolicy != core.RestartPolicyAlways
	switch {
	case age < 0:
		waits("ContainerCreating", "")
	case is(noImage):
		waits("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q", container.Image))
	case is(crashing):
		waits("CrashLoopBackOff", "back-off 10s restarting failed container="+container.Name)
		status.RestartCount, status.LastTerminationState.Terminated = 3, over(1, "Error")
	case endsSometime && age >= n.work && is(failing):
		status.State.Terminated = over(1, "Error")
	case endsSometime && age >= n.work:
		status.State.Terminated = over(0, "Completed")
	default:
		up := true
		status.Started, status.Ready = &up, age >= n.well && !is(neverWell)
		status.State.Running = &core.ContainerStateRunning{StartedAt: begun}
	}
	return status
}

// condition sets a condition, and when it last changed.
func condition(status *core.PodStatus, kind core.PodConditionType, holds bool, since meta.Time) {
	value := core.ConditionFalse
	if holds {
		value = core.ConditionTrue
	}
	for i := range status.Conditions {
		if c := &status.Conditions[i]; c.Type == kind {
			if c.Status != value {
				c.Status, c.LastTransitionTime = value, meta.Now()
			}
			return
		}
	}
	status.Conditions = append(status.Conditions, core.PodCondition{Type: kind, Status: value, LastTransitionTime: since})
}
