// Package cluster is what a cloud does inside a Kubernetes cluster: it makes Nodes of instances, volumes of claims, load balancers
// of Services, and installs the software that EKS installs.
//
// Inputs: the credentials of a cluster's API, and what the cloud wants to be there (machines, software). Outputs: objects in
// the cluster. Invariants: everything is level-triggered, so that a restart or a lost event changes nothing; questions
// about the cluster are answered from watches at once and without a request; objects of users are never touched, except that kwok, which is
// every kubelet here, is reminded of pods and nodes that it has forgotten.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// resync is how often everything is looked at without an event.
const resync = 5 * time.Second

// Options say what a cloud needs to know of itself.
type Options struct {
	// Kubeconfig is the file with the cloud's credentials.
	Kubeconfig string
	Region     string
	// DNS is the ClusterIP of the Service kube-dns.
	DNS string
	// Balancers makes load balancers; nil means that there are none, only names.
	Balancers Balancers
	Now       func() time.Time
	Log       *slog.Logger
}

// Cluster is the inside of one cluster.
type Cluster struct {
	options Options
	config  *rest.Config
	client  kubernetes.Interface
	objects dynamic.Interface
	log     *slog.Logger

	factory  informers.SharedInformerFactory
	nodes    corelisters.NodeLister
	pods     corelisters.PodLister
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	claims   corelisters.PersistentVolumeClaimLister
	classes  storagelisters.StorageClassLister

	nudge chan struct{}

	mu       sync.Mutex
	synced   bool // whether the watches have seen everything once
	told     bool // whether Machines was called
	machines map[string]Machine
	software []Software
	applied  map[string]string // software by name, as applied last
	draining map[string]bool
	markings []marking
}

// New prepares to work in a cluster; Run does the work.
func New(o Options) (*Cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", o.Kubeconfig, err)
	}
	config.QPS, config.Burst = 100, 200
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of %s: %w", config.Host, err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of %s: %w", config.Host, err)
	}
	return newCluster(o, config, client, objects), nil
}

func newCluster(o Options, config *rest.Config, client kubernetes.Interface, objects dynamic.Interface) *Cluster {
	if o.Balancers == nil {
		o.Balancers = named{o.Region}
	}
	c := &Cluster{
		options: o, config: config, client: client, objects: objects, log: o.Log,
		factory: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(slim)),
		nudge:   make(chan struct{}, 1), machines: map[string]Machine{}, applied: map[string]string{}, draining: map[string]bool{},
	}
	core := c.factory.Core().V1()
	c.nodes, c.pods, c.services = core.Nodes().Lister(), core.Pods().Lister(), core.Services().Lister()
	c.claims = core.PersistentVolumeClaims().Lister()
	c.classes = c.factory.Storage().V1().StorageClasses().Lister()
	c.slices = c.factory.Discovery().V1().EndpointSlices().Lister()
	return c
}

// slim drops what nobody here reads and what takes most of the memory.
func slim(object any) (any, error) {
	if meta, err := apimeta.Accessor(object); err == nil {
		meta.SetManagedFields(nil)
	}
	return object, nil
}

// Run works until ctx is over.
func (c *Cluster) Run(ctx context.Context) {
	core := c.factory.Core().V1()
	for _, informer := range []cache.SharedIndexInformer{
		core.Nodes().Informer(), core.Pods().Informer(), core.Services().Informer(), core.PersistentVolumeClaims().Informer(),
	} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { c.wake() }, UpdateFunc: func(any, any) { c.wake() }, DeleteFunc: func(any) { c.wake() },
		}); err != nil {
			c.log.Error("watching the cluster", "error", err)
		}
	}
	c.factory.StartWithContext(ctx)
	defer c.factory.Shutdown()
	c.factory.WaitForCacheSync(ctx.Done())
	c.mu.Lock()
	c.synced = ctx.Err() == nil
	c.mu.Unlock()
	ticker := time.NewTicker(resync)
	defer ticker.Stop()
	for ctx.Err() == nil {
		c.settle(ctx)
		select {
		case <-ctx.Done():
		case <-c.nudge:
		case <-ticker.C:
		}
	}
}

// wake makes Run look again; several calls before it does are one.
func (c *Cluster) wake() {
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

// settle does one round of everything. An error of one part neither stops the others nor the next round.
func (c *Cluster) settle(ctx context.Context) {
	for _, part := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"nodes", c.settleNodes}, {"marks", c.settleMarks}, {"forgotten", c.settleForgotten}, {"software", c.settleSoftware},
		{"volumes", c.settleVolumes}, {"load balancers", c.settleBalancers},
	} {
		if err := part.do(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("settling the cluster", "part", part.what, "error", err)
		}
	}
}

// SetMachines says which machines there are; Nodes of machines that are not in the list go.
func (c *Cluster) SetMachines(machines map[string]Machine) {
	c.mu.Lock()
	c.machines, c.told = maps.Clone(machines), true
	c.mu.Unlock()
	c.wake()
}

// SetSoftware says what the cloud has installed.
func (c *Cluster) SetSoftware(software []Software) {
	c.mu.Lock()
	c.software = software
	c.mu.Unlock()
	c.wake()
}
