// Package eksctl holds nothing but tests: they drive eksctl's own packages against the simulator for all that needs no
// Kubernetes API, so that a change of the simulator that eksctl would notice is noticed here.
//
// Inputs are ClusterConfigs and eksctl's exported functions; what they leave behind is read back through AWS's SDK. Every
// exchange is checked against AWS's models where those are beside the checkout.
package eksctl
