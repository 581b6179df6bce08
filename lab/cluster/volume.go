package cluster

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The names of EBS's provisioner: the CSI driver's own, and the in-tree one that Kubernetes hands to it.
const (
	ebs       = "ebs.csi.aws.com"
	ebsInTree = "kubernetes.io/aws-ebs"
)

// Annotations by which Kubernetes asks an external provisioner for a volume
// (https://kubernetes.io/docs/reference/labels-annotations-taints/#volume-kubernetes-io-storage-provisioner).
const (
	wantedProvisioner = "volume.kubernetes.io/storage-provisioner"
	selectedNode      = "volume.kubernetes.io/selected-node"
)

// settleVolumes provides a volume for each claim that waits for EBS; Kubernetes binds them.
func (c *Cluster) settleVolumes(ctx context.Context) error {
	claims, err := c.claims.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, claim := range claims {
		if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || claim.Annotations[wantedProvisioner] != ebs {
			continue
		}
		if err := c.provide(ctx, claim); err != nil {
			return fmt.Errorf("providing a volume for %s/%s: %w", claim.Namespace, claim.Name, err)
		}
	}
	return nil
}

func (c *Cluster) provide(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Spec.StorageClassName == nil {
		return nil
	}
	class, err := c.classes.Get(*claim.Spec.StorageClassName)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	zone, ok := c.zoneFor(claim, class)
	if !ok {
		return nil // the scheduler has not chosen a node yet
	}
	_, err = c.client.CoreV1().PersistentVolumes().Create(ctx, volumeFor(claim, class, zone), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// zoneFor is where the volume has to be; false says that this is not known yet.
func (c *Cluster) zoneFor(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) (string, bool) {
	if class.VolumeBindingMode == nil || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer {
		return "", true
	}
	node, err := c.nodes.Get(claim.Annotations[selectedNode])
	if err != nil {
		return "", false
	}
	return node.Labels[corev1.LabelTopologyZone], true
}

func volumeFor(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, zone string) *corev1.PersistentVolume {
	reclaim := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: "pvc-" + string(claim.UID), Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": ebs},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes: claim.Spec.AccessModes, StorageClassName: class.Name, VolumeMode: claim.Spec.VolumeMode,
			PersistentVolumeReclaimPolicy: reclaim, MountOptions: class.MountOptions,
			ClaimRef: &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: ebs, VolumeHandle: "vol-0" + squeeze(string(claim.UID))[:16], FSType: "ext4",
			}},
		},
	}
	if zone != "" {
		volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
		}}}}
	}
	return volume
}

// squeeze is a UID without its dashes.
func squeeze(uid string) string { return strings.ReplaceAll(uid, "-", "") }
