// Package cloudformation is AWS CloudFormation of the simulator: stacks, change sets, exports, events and the engine that
// drives resource providers through them.
//
// Inputs are the operations of the CloudFormation API and the passing of time; outputs are calls to the Provider of each
// resource type and the stacks, resources, events and outputs that the API shows. Templates are understood by the
// template package below this one.
//
// Invariants: an operation on a stack only records what is wanted, and Advance carries it out step by step, so that the
// engine can be stopped between any two steps and goes on after a restart from its state alone; a resource is created
// after everything it depends on and deleted before it; what a failed operation made is taken back, unless the caller
// disabled that.
package cloudformation
