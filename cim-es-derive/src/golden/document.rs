#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::document::Document for Card {
    const NAME: &'static str = "Card";
    const INDEXES: &'static [&'static str] = &["reader", "type"];
    const FINGERPRINT: u64 = 17031144526138061433u64;
    fn index(&self, the_index: &mut ::cim_es::document::Index) {
        ::cim_es::document::Index::add::<
            Option<Id<Reader>>,
        >(the_index, "reader", &self.reader);
        ::cim_es::document::Index::add::<Kind>(the_index, "type", &self.r#type);
    }
}
