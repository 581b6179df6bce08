package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// set is what a contender is given: a file of objects, and the same objects parsed.
type set struct {
	file    string
	objects []*unstructured.Unstructured
}

// unknown is the count of a contender that cannot tell.
const unknown = -1

// act is one thing that a contender does with a set, from nothing: connect, do it, and tell how many objects changed or would change. An
// apply is over when the server has accepted everything; nobody waits for readiness.
type act func(ctx context.Context, a access, s set) (int, error)

// acts by name.
func acts() map[string]act {
	return map[string]act{
		"ours apply": oursApply, "ours check": oursCheck,
		"raw apply": rawApply, "raw list": rawList,
		"flux apply": fluxApply, "flux diff": fluxDiff,
		"kubectl apply": kubectlApply, "kubectl diff": kubectlDiff(1), "kubectl diff 16": kubectlDiff(parallel),
		"cli-utils apply": applierApply,
	}
}

// parallel is how many requests are under way at once where a contender can be told.
const parallel = 16

// access is how a contender reaches the API server.
type access struct {
	kubeconfig string
	// config has no client-side limit, as a client's that has seen that the server has priority and fairness.
	config *rest.Config
}

func reach(kubeconfig string) (access, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return access{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS, config.Burst = -1, -1
	return access{kubeconfig: kubeconfig, config: config}, nil
}
