//! What layers ask of services and bodies, under names that say what to do where it is not so.
//!
//! Each is somebody else's trait and no more: whatever has that one has ours. The compiler would report that one, without a
//! word about layers; it is told not to look further than ours.

use bytes::Bytes;
use http_body::Body;

/// A body of bytes: `http_body::Body<Data = Bytes>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no body that this layer can read: it is no `http_body::Body<Data = Bytes>`",
    label = "no body of bytes",
    note = "`String`, `http_body_util::Full<Bytes>` and the bodies of axum, hyper and tonic are; \
            others become one by the `Body::new` of axum or tonic, or by `http_body_util::BodyExt::map_frame`"
)]
pub trait BytesBody: Body<Data = Bytes> {}

#[diagnostic::do_not_recommend]
impl<B: Body<Data = Bytes>> BytesBody for B {}

/// A service that can be cloned: its layer calls one clone while another waits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cloned, and this layer keeps one of it for each request that waits",
    label = "is not `Clone`",
    note = "derive `Clone`, with an `Arc` around what is shared; somebody else's service becomes `Clone` by `tower::buffer::Buffer`"
)]
pub trait CloneService: Clone {}

#[diagnostic::do_not_recommend]
impl<S: Clone> CloneService for S {}

/// What is a layer already. Builders are not, and say so where they are given for one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` makes a layer, and is none yet",
    label = "no layer before it is built",
    note = "builders end with `.build()?`",
    note = "a `Cache` has `.layer()`; `RetryLayer::new(..)` takes a `RetryPolicy`, and `AuthzLayer::new(..)` a `PolicyTable`"
)]
#[allow(unnameable_types, reason = "nobody has it, and nobody is to")]
pub trait IsLayer<S> {}

/// Makes a layer of a builder under a condition that nothing meets, so that the compiler has something to say.
macro_rules! no_layer {
    ($builder:ident $(<$parameter:ident>)?) => {
        #[doc(hidden)]
        impl<Inner $(, $parameter)?> tower_layer::Layer<Inner> for $builder $(<$parameter>)?
        where
            Self: crate::spine::bounds::IsLayer<Inner>,
        {
            type Service = Inner;

            fn layer(&self, inner: Inner) -> Inner {
                inner
            }
        }
    };
}
pub(crate) use no_layer;
