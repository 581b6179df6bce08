// Package eks is the AWS side of the product: it reads an eksctl ClusterConfig, observes what is live of it (EKS,
// CloudFormation, EC2, IAM, Auto Scaling, CloudWatch Logs), and carries changes out, one accepted call at a time.
//
// Inputs: a gitops.Item with the ClusterConfig as written; an aws.Config; a small port to the cluster's own API.
// Outputs: gitops.Observed in the ClusterConfig's own vocabulary, gitops.Facts for overlays, Health of what is in flight.
//
// How it is laid out, in reading order: Read and Parse (file to Config, strictly), wants (Config to refs), sweep (AWS to
// world), observe (world and wants to Observed), step (one change, one call to AWS). Beside it, import (world to file), feed (what
// others do, heard from a queue) and attribute (who did it); and of upgrades preflight (what they need to know), round (how far they
// go at once, and in which order), concerns (what stands against them) and burden (what moving nodes means); and of creation zones (which are
// chosen), refusal (what EKS said to the last attempts) and placing (what follows from both); and of instance types that a file does not name selector (what
// would do) and select (what is taken).
//
// Invariants:
//   - progress is read back from AWS, never from memory: a new process continues where the last one was killed;
//   - a call that was accepted, lost or repeated makes no second thing;
//   - stacks, names, tags and outputs are eksctl's (v0.225.0), so that either tool can manage what the other made;
//   - unknown is not absent: only AWS saying that a thing does not exist makes it absent;
//   - only fields that are explicit in the file are compared where a difference would replace something;
//   - a cluster is deleted only by a change that says so, and never one that eksctl did not make;
//   - nothing is ever deleted that neither carries the cluster's tags nor was applied from here.
//
// It is the only package that imports eksctl and the AWS SDK.
package eks
