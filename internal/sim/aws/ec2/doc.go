// Package ec2 is Amazon EC2 of the simulator: the network of a VPC, launch templates, key pairs, images and instances, as far
// as EKS, eksctl and the reconciler use them, and the CloudFormation providers of the AWS::EC2 types in their templates.
//
// Inputs are the operations of the EC2 API, calls of other services in the same world and the passing of time; outputs are
// answers and, through Machines, the machines that instances stand for.
//
// Invariants: a resource that something else uses is not deleted (DependencyViolation, InUse); states that take time (NAT
// gateways, instances, endpoints) are derived from stored timestamps by Advance; ids are never reused.
package ec2
