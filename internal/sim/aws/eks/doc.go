// Package eks is Amazon EKS of the simulator: clusters, updates, managed node groups, add-ons, access entries, pod identity
// associations, Fargate profiles, identity providers, capabilities and insights, by the API's own rules and error codes.
//
// Inputs are the operations of the EKS API (from the wire, or from CloudFormation through Providers) and the passing of time;
// outputs are what the API shows and effects on neighbours: security groups, network interfaces, launch templates and
// Auto Scaling groups through Neighbours, control planes through ControlPlanes, Kubernetes nodes through Nodes. Authenticate
// answers the question of a cluster's token webhook: who is this, and what may they do?
//
// Invariants: a request is validated wholly before anything changes; a status that changes by itself is derived in Advance
// from stored moments and from what the neighbours show, so a restarted process goes on where the last one stopped; a cluster
// and a node group have at most one update in flight; what EKS makes in other services it takes away again.
//
// The rules come from the API reference (https://docs.aws.amazon.com/eks/latest/APIReference/), the user guide and, for the
// texts of errors, from what the service is known to answer; where the text is not known the code is still the documented one.
package eks
