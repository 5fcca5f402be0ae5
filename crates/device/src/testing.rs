//! What several tests need: an authority that signs devices and clouds, and programs put together by hand.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::identity::{DeviceId, Identity};
use crate::image::Image;
use crate::machine::{RestartPolicy, Settings};
use crate::transport::Address;

pub(crate) const DEVICE_ID: &str = "UV00112233445566778899aabbccddeeff";

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "A test's authority");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { issuer: Issuer::new(params, key), certificate }
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// A cloud's certificate and key.
    pub(crate) fn server(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![certificate.der().clone()], key)
    }

    /// The identity of the device [`DEVICE_ID`].
    pub(crate) fn device(&self) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, DEVICE_ID);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let id = DeviceId::parse(DEVICE_ID).expect("an id");
        Identity::new(id, certificate.pem(), key.serialize_pem(), self.certificate.pem())
            .expect("an identity")
    }
}

pub(crate) type Peer = StreamOwned<ServerConnection, TcpStream>;

/// A cloud's listener: accepts devices of one authority, one after the other, and hands each to a closure.
pub(crate) struct Server {
    pub address: Address,
    pub served: mpsc::Receiver<HandshakeKind>,
}

impl Server {
    pub(crate) fn start(
        authority: &Authority,
        alpn: &[u8],
        connections: usize,
        serve: impl Fn(Peer) + Send + 'static,
    ) -> Self {
        let config = Arc::new(server_config(authority, alpn));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (sender, served) = mpsc::channel();
        thread::spawn(move || {
            for _ in 0..connections {
                let (mut tcp, _) = listener.accept().expect("accepted");
                let mut tls = ServerConnection::new(config.clone()).expect("a session");
                if tls.complete_io(&mut tcp).is_ok() && !tls.is_handshaking() {
                    let _ = sender.send(tls.handshake_kind().expect("done"));
                    serve(StreamOwned::new(tls, tcp));
                }
            }
        });
        Self { address: Address::parse(&format!("localhost:{port}")).expect("an address"), served }
    }
}

fn server_config(authority: &Authority, alpn: &[u8]) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).expect("a root");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let (chain, key) = authority.server("localhost");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a certificate");
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// What a machine that runs `program` is made from.
pub(crate) fn settings(program: &Program) -> Settings {
    Settings {
        device_id: DeviceId::parse(DEVICE_ID).expect("an id"),
        image: program.image(),
        entropy: Arc::new(|| 0x5EED_0001),
        restart: RestartPolicy { minimum_ms: 10, maximum_ms: 40 },
        trace: false,
        attachments: Vec::new(),
    }
}

/// Where a [`Program`]'s code begins: after the vector table.
pub(crate) const CODE: u32 = 0x0800_0238;

/// A program put together from instructions of the T32 set (Arm ARM C2.4), in a flash of its own.
pub(crate) struct Program {
    vectors: Vec<u32>,
    code: Vec<u16>,
    end: Option<usize>,
}

impl Program {
    /// A program whose reset handler is what is added first. Every other vector is zero.
    pub(crate) fn new() -> Self {
        let mut vectors = vec![0; 0x238 / 4];
        (vectors[0], vectors[1]) = (0x2008_0000, CODE | 1);
        Self { vectors, code: Vec::new(), end: None }
    }

    pub(crate) fn add(&mut self, instruction: impl AsRef<[u16]>) -> &mut Self {
        if instruction.as_ref() == b_self() && self.end.is_none() {
            self.end = Some(self.code.len());
        }
        self.code.extend(instruction.as_ref());
        self
    }

    /// What is added next is the handler of exception `number`.
    pub(crate) fn handler(&mut self, number: usize) -> &mut Self {
        self.vectors[number] = (CODE + 2 * self.code.len() as u32) | 1;
        self
    }

    /// How many halfwords there are: where the next instruction is, for [`Program::bne`].
    pub(crate) fn here(&self) -> usize {
        self.code.len()
    }

    /// `bne` back to what [`Program::here`] returned.
    pub(crate) fn bne(&mut self, target: usize) -> &mut Self {
        let back = self.code.len() + 2 - target;
        self.add([0xD100 | (0x100 - back as u16)])
    }

    /// Adds the code of another program, which must not depend on where it lies.
    pub(crate) fn append(&mut self, other: &Self) -> &mut Self {
        self.code.extend(&other.code);
        self
    }

    /// A call of the entry at `entry`.
    pub(crate) fn call(&mut self, entry: u32) -> &mut Self {
        self.add(mov32(4, entry)).add(blx(4))
    }

    /// Makes every wait a count, in r7.
    pub(crate) fn replace_wfi_with_count(&mut self) {
        for halfword in &mut self.code {
            if *halfword == wfi()[0] {
                *halfword = 0x3701; // adds r7, #1
            }
        }
    }

    /// Makes every wait a spin.
    pub(crate) fn replace_wfi_with_nop(&mut self) {
        for halfword in &mut self.code {
            if *halfword == wfi()[0] {
                *halfword = 0xBF00;
            }
        }
    }

    /// Makes the first wait a branch to what is added next.
    pub(crate) fn replace_wfi_with_branch_to_end(&mut self) {
        let at = self.code.iter().position(|halfword| *halfword == wfi()[0]).expect("a wait");
        self.code[at] = 0xE000 | (self.code.len() - at - 2) as u16;
    }

    /// Makes the program end in an undefined instruction instead of a spin.
    pub(crate) fn replace_end_with_fault(&mut self) {
        self.code[self.end.expect("an end")] = 0xDE00;
    }

    pub(crate) fn image(&self) -> Image {
        let mut bytes: Vec<u8> = self.vectors.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(self.code.iter().flat_map(|halfword| halfword.to_le_bytes()));
        Image::parse(&bytes).expect("an image")
    }
}

/// `movw` and `movt`: `register` becomes `value`. T3 encodings of C2.4.1 MOV (immediate) and MOVT.
pub(crate) fn mov32(register: u16, value: u32) -> [u16; 4] {
    let half = |opcode: u16, value: u16| {
        let (imm4, i, imm3, imm8) = (value >> 12, value >> 11 & 1, value >> 8 & 7, value & 0xFF);
        [opcode | i << 10 | imm4, imm3 << 12 | register << 8 | imm8]
    };
    let ([a, b], [c, d]) = (half(0xF240, value as u16), half(0xF2C0, (value >> 16) as u16));
    [a, b, c, d]
}

/// `movs register, #value`
pub(crate) fn movs(register: u16, value: u16) -> [u16; 1] {
    [0x2000 | register << 8 | value]
}

/// `str register, [base, #offset]`, offset a multiple of four up to 124
pub(crate) fn str_(register: u16, base: u16, offset: u16) -> [u16; 1] {
    [0x6000 | ((offset / 4) << 6) | (base << 3) | register]
}

/// `ldr register, [base, #offset]`, offset a multiple of four up to 124
pub(crate) fn ldr(register: u16, base: u16, offset: u16) -> [u16; 1] {
    [0x6800 | ((offset / 4) << 6) | (base << 3) | register]
}

/// `blx register`
pub(crate) fn blx(register: u16) -> [u16; 1] {
    [0x4780 | register << 3]
}

/// `wfi`
pub(crate) fn wfi() -> [u16; 1] {
    [0xBF30]
}

/// `b .`
pub(crate) fn b_self() -> [u16; 1] {
    [0xE7FE]
}
