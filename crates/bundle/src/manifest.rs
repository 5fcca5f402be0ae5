//! The manifest: from bytes to layers and policies, and back.

use std::collections::BTreeSet;

use prost::Message;

use crate::archive::Entries;
use crate::limits::{LAYERS, MANIFEST_NAME, POINT};
use crate::signature::Seal;
use crate::wire::{self, AppBody, AppLayerReference, AppLayerRegion, FlashRegion, OpaqueManifest, Where};
use crate::{
    Bundle, Connectivity, Crash, Debug, Entry, Layer, Place, Policies, Refusal, Region, Room, SigningKey,
    Update, hash,
};

/// The bundle of these entries.
pub(crate) fn read(entries: &Entries, room: Room) -> Result<Bundle, Refusal> {
    let bytes = entries.get(MANIFEST_NAME).ok_or(Refusal::NoManifest)?;
    let outer = OpaqueManifest::decode(bytes.as_slice()).map_err(|error| unreadable(&error))?;
    if outer.body.is_empty() {
        return Err(Refusal::NoBody);
    }
    let body = AppBody::decode(outer.body.as_slice()).map_err(|error| unreadable(&error))?;
    let seal = Seal::new(outer.signer_id, outer.body, &outer.signature)?;
    if body.layers.len() > LAYERS {
        return Err(Refusal::TooManyLayers);
    }
    let layers: Vec<Layer> =
        body.layers.iter().map(|reference| layer(reference, entries, room)).collect::<Result<_, _>>()?;
    check_all_used(&body, entries)?;
    let policies = policies(body)?;
    let (images, external): (Vec<_>, Vec<_>) =
        layers.into_iter().partition(|layer| layer.region.place == Place::InternalFlash);
    let [image] = <[Layer; 1]>::try_from(images).map_err(|images| Refusal::ImageLayers(images.len()))?;
    if image.region.start != 0 {
        return Err(Refusal::ImageStart(image.region.start));
    }
    check_apart(&external)?;
    Ok(Bundle { image, external, policies, seal, manifest_hash: hash::sha256(bytes) })
}

/// prost's words name the message and the field.
fn unreadable(error: &prost::DecodeError) -> Refusal {
    Refusal::Manifest(error.to_string())
}

fn layer(reference: &AppLayerReference, entries: &Entries, room: Room) -> Result<Layer, Refusal> {
    if reference.encrypted_with_key_id != 0 {
        return Err(Refusal::EncryptedLayer(reference.encrypted_with_key_id));
    }
    for hash in [&reference.fetch_hash, &reference.measurement_hash] {
        if hash.len() != 32 {
            return Err(Refusal::HashLength(hash.len()));
        }
    }
    let region = region(reference.target.as_ref(), room)?;
    let name = hash::hex(&reference.fetch_hash);
    let shown = || Entry::new(name.as_bytes());
    let bytes = entries.get(&name).ok_or_else(|| Refusal::MissingLayer(shown()))?;
    if bytes.len() > region.size as usize {
        return Err(Refusal::LayerTooLong { length: bytes.len(), size: region.size });
    }
    let layer = Layer { region, bytes: bytes.clone() };
    if layer.fetch_hash() != reference.fetch_hash[..] {
        return Err(Refusal::FetchHash(shown()));
    }
    if layer.measurement_hash() != reference.measurement_hash[..] {
        return Err(Refusal::MeasurementHash(shown()));
    }
    Ok(layer)
}

fn region(target: Option<&AppLayerRegion>, room: Room) -> Result<Region, Refusal> {
    let at = target.and_then(|target| target.at.as_ref()).ok_or(Refusal::NoPlace)?;
    let (place, FlashRegion { start, size }, room) = match *at {
        Where::InternalFlash(region) => (Place::InternalFlash, region, room.internal_flash),
        Where::ExternalFlash(region) => (Place::ExternalFlash, region, room.external_flash),
    };
    if start.checked_add(size).is_none_or(|end| end > room) {
        return Err(Refusal::OutsideFlash { place, start, size, room });
    }
    Ok(Region { place, start, size })
}

fn check_all_used(body: &AppBody, entries: &Entries) -> Result<(), Refusal> {
    let used: BTreeSet<String> = body.layers.iter().map(|layer| hash::hex(&layer.fetch_hash)).collect();
    let unused = entries.keys().find(|name| *name != MANIFEST_NAME && !used.contains(*name));
    unused.map_or(Ok(()), |name| Err(Refusal::UnusedLayer(Entry::new(name.as_bytes()))))
}

fn check_apart(layers: &[Layer]) -> Result<(), Refusal> {
    let mut spans: Vec<_> =
        layers.iter().map(|layer| (layer.region.start, layer.region.start + layer.region.size)).collect();
    spans.sort_unstable();
    let overlap = spans.windows(2).any(|pair| pair[1].0 < pair[0].1);
    if overlap { Err(Refusal::RegionsOverlap) } else { Ok(()) }
}

fn policies(body: AppBody) -> Result<Policies, Refusal> {
    let (debug, crash) = (body.debug.unwrap_or_default(), body.crash.unwrap_or_default());
    let (update, connectivity) = (body.update.unwrap_or_default(), body.connectivity.unwrap_or_default());
    let policies = Policies {
        debug: Debug { debuggable: debug.debuggable, auth_pubkey: debug.debug_auth_pubkey },
        crash: Crash {
            minimum_restart_ms: crash.minimum_restart_ms,
            maximum_restart_ms: crash.maximum_restart_ms,
            report_pubkey: crash.crash_report_pubkey,
            include_stack_bytes: crash.include_stack_bytes,
        },
        update: Update {
            maximum_politeness_time_sec: update.maximum_politeness_time_sec,
            minimum_kernel_version: update.minimum_kernel_version,
        },
        connectivity: Connectivity {
            connection_grace_time_sec: connectivity.connection_grace_time_sec,
            minimum_check_in_time_sec: connectivity.minimum_check_in_time_sec,
        },
    };
    check_policies(&policies)?;
    Ok(policies)
}

fn check_policies(policies: &Policies) -> Result<(), Refusal> {
    let key = &policies.debug.auth_pubkey;
    if !key.is_empty() && (key.len() != POINT || key[0] != 4) {
        return Err(Refusal::DebugKey(key.len()));
    }
    let (minimum, maximum) = (policies.crash.minimum_restart_ms, policies.crash.maximum_restart_ms);
    if maximum != 0 && minimum > maximum {
        return Err(Refusal::RestartOrder { minimum, maximum });
    }
    Ok(())
}

/// A manifest of these layers, signed if there is a key.
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
    let Region { place, start, size } = layer.region;
    let region = FlashRegion { start, size };
    let at = match place {
        Place::InternalFlash => Where::InternalFlash(region),
        Place::ExternalFlash => Where::ExternalFlash(region),
    };
    AppLayerReference {
        target: Some(AppLayerRegion { at: Some(at) }),
        encrypted_with_key_id: 0,
        fetch_hash: layer.fetch_hash().to_vec(),
        measurement_hash: layer.measurement_hash().to_vec(),
    }
}
