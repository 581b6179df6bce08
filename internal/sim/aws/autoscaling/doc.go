// Package autoscaling is Amazon EC2 Auto Scaling of the simulator: groups that keep a number of instances running.
//
// Inputs are the operations of the Auto Scaling API, calls of EKS in the same world and the passing of time; outputs are
// instances of EC2 that are launched and ended, and the activities that tell of it.
//
// Invariants: a group's size moves towards its desired capacity only by launching and ending instances, and every such step is an
// activity; an instance that ends behind the group's back is replaced; what a group is doing follows from its state alone.
package autoscaling
