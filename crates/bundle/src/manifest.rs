//! The manifest: decoding and encoding of layers and policies.

use std::collections::BTreeSet;

use prost::Message;

use crate::archive::Entries;
use crate::limits::{LAYERS, MANIFEST_NAME, POINT};
use crate::signature::SignedBody;
use crate::wire::{self, AppBody, AppLayerReference, AppLayerRegion, FlashRegion, OpaqueManifest, Where};
use crate::{
    Bundle, BundleError, Capacity, ConnectivityPolicy, CrashPolicy, DebugPolicy, EntryName, FlashMemory,
    Layer, Policies, Region, SigningKey, UpdatePolicy, hash,
};

/// The bundle with these entries.
pub(crate) fn read(entries: &Entries, capacity: Capacity) -> Result<Bundle, BundleError> {
    let bytes = entries.get(MANIFEST_NAME).ok_or(BundleError::NoManifest)?;
    let outer = OpaqueManifest::decode(bytes.as_slice()).map_err(|error| unreadable(&error))?;
    // An empty body would decode as a manifest in which every field has its default.
    if outer.body.is_empty() {
        return Err(BundleError::NoBody);
    }
    let body = AppBody::decode(outer.body.as_slice()).map_err(|error| unreadable(&error))?;
    let signed_body = SignedBody::new(outer.signer_id, outer.body, &outer.signature)?;
    // Before the layers are hashed, since their number is the sender's choice.
    if body.layers.len() > LAYERS {
        return Err(BundleError::TooManyLayers);
    }
    let layers: Vec<Layer> =
        body.layers.iter().map(|reference| layer(reference, entries, capacity)).collect::<Result<_, _>>()?;
    // An entry without a layer is in no signature: it could be anything.
    check_all_used(&body, entries)?;
    let policies = policies(body)?;
    let (images, external): (Vec<_>, Vec<_>) =
        layers.into_iter().partition(|layer| layer.region.memory == FlashMemory::Internal);
    // Exactly one: the application starts at the beginning of the internal flash (D152).
    let [image] = <[Layer; 1]>::try_from(images).map_err(|images| BundleError::ImageLayers(images.len()))?;
    if image.region.start != 0 {
        return Err(BundleError::ImageStart(image.region.start));
    }
    check_no_overlap(&external)?;
    Ok(Bundle {
        image,
        external,
        policies,
        signed_body,
        manifest: bytes.clone(),
        manifest_hash: hash::sha256(bytes),
    })
}

/// prost's text names the message and the field.
fn unreadable(error: &prost::DecodeError) -> BundleError {
    BundleError::Manifest(error.to_string())
}

fn layer(reference: &AppLayerReference, entries: &Entries, capacity: Capacity) -> Result<Layer, BundleError> {
    // The keys are not public, so that it could not be run (D152).
    if reference.encrypted_with_key_id != 0 {
        return Err(BundleError::EncryptedLayer(reference.encrypted_with_key_id));
    }
    for hash in [&reference.fetch_hash, &reference.measurement_hash] {
        if hash.len() != 32 {
            return Err(BundleError::HashLength(hash.len()));
        }
    }
    let region = region(reference.target.as_ref(), capacity)?;
    let name = hash::hex(&reference.fetch_hash);
    let shown = || EntryName::new(name.as_bytes());
    let bytes = entries.get(&name).ok_or_else(|| BundleError::MissingLayer(shown()))?;
    // A shorter layer is allowed: the rest of its region is erased (D152).
    if bytes.len() > region.size as usize {
        return Err(BundleError::LayerTooLong { length: bytes.len(), size: region.size });
    }
    let layer = Layer { region, bytes: bytes.clone() };
    if layer.fetch_hash() != reference.fetch_hash[..] {
        return Err(BundleError::FetchHash(shown()));
    }
    if layer.measurement_hash() != reference.measurement_hash[..] {
        return Err(BundleError::MeasurementHash(shown()));
    }
    Ok(layer)
}

fn region(target: Option<&AppLayerRegion>, capacity: Capacity) -> Result<Region, BundleError> {
    let at = target.and_then(|target| target.at.as_ref()).ok_or(BundleError::NoRegion)?;
    let (memory, FlashRegion { start, size }, capacity) = match *at {
        Where::InternalFlash(region) => (FlashMemory::Internal, region, capacity.internal_flash),
        Where::ExternalFlash(region) => (FlashMemory::External, region, capacity.external_flash),
    };
    // Checked: both are 32 bits wide and come from the file.
    if start.checked_add(size).is_none_or(|end| end > capacity) {
        return Err(BundleError::OutsideFlash { memory, start, size, capacity });
    }
    Ok(Region { memory, start, size })
}

fn check_all_used(body: &AppBody, entries: &Entries) -> Result<(), BundleError> {
    let used: BTreeSet<String> = body.layers.iter().map(|layer| hash::hex(&layer.fetch_hash)).collect();
    let unused = entries.keys().find(|name| *name != MANIFEST_NAME && !used.contains(*name));
    unused.map_or(Ok(()), |name| Err(BundleError::UnusedLayer(EntryName::new(name.as_bytes()))))
}

fn check_no_overlap(layers: &[Layer]) -> Result<(), BundleError> {
    let mut spans: Vec<_> =
        layers.iter().map(|layer| (layer.region.start, layer.region.start + layer.region.size)).collect();
    // Sorted, only neighbours can overlap.
    spans.sort_unstable();
    let overlap = spans.windows(2).any(|pair| pair[1].0 < pair[0].1);
    if overlap { Err(BundleError::RegionsOverlap) } else { Ok(()) }
}

fn policies(body: AppBody) -> Result<Policies, BundleError> {
    let (debug, crash) = (body.debug.unwrap_or_default(), body.crash.unwrap_or_default());
    let (update, connectivity) = (body.update.unwrap_or_default(), body.connectivity.unwrap_or_default());
    let policies = Policies {
        debug: DebugPolicy { debuggable: debug.debuggable, auth_pubkey: debug.debug_auth_pubkey },
        crash: CrashPolicy {
            minimum_restart_ms: crash.minimum_restart_ms,
            maximum_restart_ms: crash.maximum_restart_ms,
            report_pubkey: crash.crash_report_pubkey,
            include_stack_bytes: crash.include_stack_bytes,
        },
        update: UpdatePolicy {
            maximum_politeness_time_sec: update.maximum_politeness_time_sec,
            minimum_kernel_version: update.minimum_kernel_version,
        },
        connectivity: ConnectivityPolicy {
            connection_grace_time_sec: connectivity.connection_grace_time_sec,
            minimum_check_in_time_sec: connectivity.minimum_check_in_time_sec,
        },
    };
    check_policies(&policies)?;
    Ok(policies)
}

fn check_policies(policies: &Policies) -> Result<(), BundleError> {
    let key = &policies.debug.auth_pubkey;
    // 4 marks an uncompressed point (SEC 1, 2.3.3).
    if !key.is_empty() && (key.len() != POINT || key[0] != 4) {
        return Err(BundleError::DebugKey(key.len()));
    }
    let (minimum, maximum) = (policies.crash.minimum_restart_ms, policies.crash.maximum_restart_ms);
    // 0 stands for the default, which yields to the other value (D151).
    if maximum != 0 && minimum > maximum {
        return Err(BundleError::RestartOrder { minimum, maximum });
    }
    Ok(())
}

/// A manifest with these layers, signed if there is a key.
pub(crate) fn write(layers: &[&Layer], policies: &Policies, key: Option<&SigningKey>) -> Vec<u8> {
    let body = AppBody {
        layers: layers.iter().map(|layer| reference(layer)).collect(),
        debug: Some(wire::DebugPolicy {
            debuggable: policies.debug.debuggable,
            debug_auth_pubkey: policies.debug.auth_pubkey.clone(),
        }),
        crash: Some(wire::CrashPolicy {
            minimum_restart_ms: policies.crash.minimum_restart_ms,
            maximum_restart_ms: policies.crash.maximum_restart_ms,
            crash_report_pubkey: policies.crash.report_pubkey.clone(),
            include_stack_bytes: policies.crash.include_stack_bytes,
        }),
        update: Some(wire::UpdatePolicy {
            maximum_politeness_time_sec: policies.update.maximum_politeness_time_sec,
            minimum_kernel_version: policies.update.minimum_kernel_version,
        }),
        connectivity: Some(wire::ConnectivityPolicy {
            connection_grace_time_sec: policies.connectivity.connection_grace_time_sec,
            minimum_check_in_time_sec: policies.connectivity.minimum_check_in_time_sec,
        }),
    };
    let body = body.encode_to_vec();
    let (signer_id, signature) = key.map(|key| key.sign(&body)).unwrap_or_default();
    OpaqueManifest { signer_id, body, signature }.encode_to_vec()
}

fn reference(layer: &Layer) -> AppLayerReference {
    let Region { memory, start, size } = layer.region;
    let region = FlashRegion { start, size };
    let at = match memory {
        FlashMemory::Internal => Where::InternalFlash(region),
        FlashMemory::External => Where::ExternalFlash(region),
    };
    AppLayerReference {
        target: Some(AppLayerRegion { at: Some(at) }),
        encrypted_with_key_id: 0,
        fetch_hash: layer.fetch_hash().to_vec(),
        measurement_hash: layer.measurement_hash().to_vec(),
    }
}
